import { parseNameServer, type NameServer } from './name-server.ts'

/** The settings of the gateway by these names; times in seconds. */
export interface DnsSettings {
  /** `ip` or `ip:port`; null or empty: those of resolv.conf. */
  readonly dns_resolver: readonly string[] | null
  readonly dns_hostsfile: string
  /** LAST (the type that worked last for the name), SRV, A, AAAA, CNAME. */
  readonly dns_order: readonly string[]
  /** For one question to one name server; null: `timeout` of resolv.conf, else 2. */
  readonly dns_timeout: number | null
  /** Instead of the TTL of records; null leaves it. */
  readonly dns_valid_ttl: number | null
  readonly dns_stale_ttl: number
  readonly dns_not_found_ttl: number
  readonly dns_error_ttl: number
  /** Names. */
  readonly dns_cache_size: number
}

const ORDER_ITEMS = ['LAST', 'SRV', 'A', 'AAAA', 'CNAME'] as const
export type OrderItem = (typeof ORDER_ITEMS)[number]

/** Throws for an item that is no record type, and when nothing would be asked. */
export function readOrder(order: readonly string[]): OrderItem[] {
  const items = order.map((text) => {
    const item = ORDER_ITEMS.find((known) => known === text.toUpperCase())
    if (item === undefined)
      throw new Error(`dns_order: expected ${ORDER_ITEMS.join(', ')}, got ${JSON.stringify(text)}`)
    return item
  })
  if (!items.some((item) => item !== 'LAST')) throw new Error('dns_order: expected at least one record type, got none')
  return items
}

/** Null when resolv.conf decides. Throws for anything but addresses: a name server can't be found by name. */
export function readNameServers(texts: readonly string[] | null): NameServer[] | null {
  if (texts === null || texts.length === 0) return null
  return texts.map((text) => {
    const server = parseNameServer(text)
    if (server === null)
      throw new Error(`dns_resolver: expected an IP address with or without :port, got ${JSON.stringify(text)}`)
    return server
  })
}
