/** The certificate authorities that the settings name, for everything that the gateway itself connects to. */
import { rootCertificates } from 'node:tls'
import type { Settings } from '#model/settings.ts'
import { readNamedFile } from './named-file.ts'

/** PEM; null where Node's own list is all that is wanted. */
export function trustedAuthorities({ lua_ssl_trusted_certificate: sources }: Settings): string | null {
  if (sources.every((source) => source === 'system')) return null
  return sources
    .map((source) =>
      source === 'system' ? rootCertificates.join('\n') : readNamedFile('lua_ssl_trusted_certificate', source.path),
    )
    .join('\n')
}
