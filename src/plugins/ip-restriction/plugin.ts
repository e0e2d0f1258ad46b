/** Lets requests in by the client's address, as Kong's ip-restriction does. */
import { isIP, type BlockList } from 'node:net'
import { addressSet } from '#core/address-set.ts'
import { definePlugin, type Exchange, type Exit } from '#pdk'
import { schema } from './schema.ts'

interface State {
  /** Null lets everybody in who is not denied. */
  readonly allow: BlockList | null
  readonly deny: BlockList | null
  readonly status: number
  /** Null for the message that names the address. */
  readonly message: string | null
}

export const ipRestriction = definePlugin({
  schema,

  prepare({ allow, deny, status, message }): State {
    return { allow: addressList(allow), deny: addressList(deny), status: status ?? 403, message }
  },

  preread: (exchange, state) => decide(exchange, state),
  access: (exchange, state) => decide(exchange, state),
})

function decide(exchange: Exchange, { allow, deny, status, message }: State): void | Exit {
  const ip = exchange.request.clientIp
  const version = isIP(ip)
  if (version === 0) {
    return exchange.fail(403, 'Cannot identify the client IP address, unix domain sockets are not supported.')
  }
  const family = version === 6 ? 'ipv6' : 'ipv4'
  // As in Kong, who is both allowed and denied is denied.
  if ((deny !== null && deny.check(ip, family)) || (allow !== null && !allow.check(ip, family))) {
    return exchange.fail(status, message ?? `IP address not allowed: ${ip}`)
  }
}

/** Null for an empty list, which as in Kong restricts nobody. */
function addressList(entries: readonly string[] | null): BlockList | null {
  if (entries === null || entries.length === 0) return null
  return addressSet(entries)
}
