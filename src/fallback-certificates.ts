import { hostname } from 'node:os'
import path from 'node:path'
import { loadCertificates } from '#listen/configured-certificates.ts'
import { openDefaultCertificate } from '#listen/default-certificate.ts'
import type { Settings } from '#model/settings.ts'
import type { Fallback } from './gateway-workers.ts'

/** The certificates for clients without a known server name: configured ones, else one of our own making. */
export async function readFallback(settings: Settings): Promise<Fallback> {
  const pairs = await loadCertificates('ssl_cert', settings.ssl_cert, settings.ssl_cert_key)
  if (pairs.length > 0) return { cert: pairs.map(({ cert }) => cert), key: pairs.map(({ key }) => key) }
  const own = await openDefaultCertificate({
    folder: path.join(settings.prefix, 'certificates'),
    nowMs: Date.now(),
    names: [hostname()],
  })
  return { cert: [own.cert], key: [own.key] }
}
