/** Whose requests are counted together, by `config.limit_by`. */
import type { Exchange } from '#pdk'
import { toWire } from '#pdk/wire-text.ts'

export type Identifier = (exchange: Exchange) => string

/** Where there is nothing to go by, the client's address counts. */
export function identifierOf(
  limitBy: 'consumer' | 'credential' | 'ip' | 'service' | 'header' | 'path',
  headerName: string | null,
  path: string | null,
): Identifier {
  switch (limitBy) {
    case 'consumer':
      return ({ consumer, credential, request }) => consumer?.id ?? credential?.id ?? request.clientIp
    case 'credential':
      return ({ credential, request }) => credential?.id ?? request.clientIp
    case 'ip':
      return ({ request }) => request.clientIp
    case 'service':
      return ({ service, request }) => service?.id ?? request.clientIp
    case 'header': {
      const name = headerName ?? ''
      return ({ request }) => request.headers.get(name) ?? request.clientIp
    }
    case 'path': {
      const wirePath = toWire(path ?? '')
      return ({ request }) => (request.path === wirePath ? wirePath : request.clientIp)
    }
  }
}
