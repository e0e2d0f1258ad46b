/** What the listeners of the Admin API and of the status read from files: certificates, and who may do what. */
import { checkTls, type AdminListener, type AdminTls } from '#admin/listener.ts'
import { NO_ACCESS_LIST, parseAccessList, type AccessList } from '#admin/tokens.ts'
import { GatewayError } from '#core/errors.ts'
import { loadCertificates } from '#listen/configured-certificates.ts'
import type { Settings } from '#model/settings.ts'
import type { Listener } from '#model/settings/listener.ts'
import type { Fallback } from './gateway-workers.ts'
import { readNamedFile } from './named-file.ts'

/**
 * How such a listener speaks TLS: with its own certificates, else with those for clients. `clientCaFile` is that of the start: which
 * file it is waits for the next one, what is in it does not.
 */
export async function readTls(
  name: 'admin' | 'status',
  settings: Settings,
  fallback: Fallback,
  clientCaFile: string | null,
): Promise<AdminTls> {
  const key = `${name}_ssl_cert` as const
  const own = await loadCertificates(key, settings[key], settings[`${key}_key`])
  const pairs = own.length > 0 ? { cert: own.map(({ cert }) => cert), key: own.map((pair) => pair.key) } : fallback
  const clientCa = name === 'status' || clientCaFile === null ? null : readNamedFile('admin_client_ca', clientCaFile)
  const tls = { ...pairs, clientCa }
  try {
    checkTls(tls)
  } catch (cause) {
    const message = `${key}${clientCa === null ? '' : ', admin_client_ca'}: ${(cause as Error).message}`
    throw new GatewayError('CERTIFICATE_INVALID', message, { cause })
  }
  return tls
}

export function readAccessList({ admin_token_file: file }: Settings): AccessList {
  if (file === null) return NO_ACCESS_LIST
  const parsed = parseAccessList(readNamedFile('admin_token_file', file))
  if (!parsed.ok)
    throw new GatewayError('SETTINGS_INVALID', `admin_token_file ${file}: ${parsed.errors[0]}`, {
      details: parsed.errors,
    })
  return parsed.list
}

export function httpListener(listener: Listener, tls: AdminTls): AdminListener {
  return {
    address: listener.socketPath === null ? { ip: listener.host, port: listener.port } : { path: listener.socketPath },
    tls: listener.ssl ? tls : null,
  }
}
