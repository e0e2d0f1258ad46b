/** Lets sockets that Node opens (log receivers, brokers) find names as upstreams do: by the gateway's own resolver, with its cache and settings. */
import type { LookupFunction } from 'node:net'
import { isIPv6 } from 'node:net'
import type { Resolution, Resolver } from '#core/resolution.ts'

/** Ports of SRV records are not used: whoever connects has one. */
export function nodeLookup(resolver: Resolver): LookupFunction {
  return (hostname, options, callback) => {
    const answer = (resolution: Resolution): void => {
      if (!resolution.ok) {
        const error: NodeJS.ErrnoException = new Error(`${hostname}: ${resolution.message}`)
        error.code = resolution.code === 'name_error' ? 'ENOTFOUND' : 'EAI_AGAIN'
        return callback(error, '', 0)
      }
      const found = resolution.addresses.map(({ ip }) => ({ address: ip, family: isIPv6(ip) ? 6 : 4 }))
      const wanted = found.filter(({ family }) => !isFamily(options.family) || family === familyOf(options.family))
      const first = wanted[0]
      if (first === undefined) {
        const error: NodeJS.ErrnoException = new Error(`${hostname}: no address of the family that is asked for`)
        error.code = 'ENOTFOUND'
        return callback(error, '', 0)
      }
      if (options.all === true) callback(null, wanted)
      else callback(null, first.address, first.family)
    }
    const resolved = resolver.resolve(hostname)
    if (!(resolved instanceof Promise)) return process.nextTick(answer, resolved)
    resolved.then(answer, (error: unknown) =>
      answer({ ok: false, code: 'resolve_failed', message: String(error), expiresAtMs: 0 }),
    )
  }
}

function isFamily(family: number | 'IPv4' | 'IPv6' | undefined): family is number | 'IPv4' | 'IPv6' {
  return family !== undefined && family !== 0
}

function familyOf(family: number | 'IPv4' | 'IPv6'): number {
  return family === 'IPv6' || family === 6 ? 6 : 4
}
