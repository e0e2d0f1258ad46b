/** What a request must be like besides host, path and usual method. */
import { isIPv6, type BlockList } from 'node:net'
import { addressSet } from '#core/address-set.ts'
import type { SafeRegex } from '#core/pcre.ts'
import type { Networks } from './attributes.ts'
import type { RoutableRequest } from './contract.ts'
import { queryHas, queryValues } from './query.ts'

export interface Condition {
  readonly attribute: 'methods' | 'headers' | 'snis' | 'query' | 'sources' | 'destinations'
  /** What the route asks for, as the operator wrote it. */
  readonly expected: unknown
  holds(request: RoutableRequest): boolean
  /** What the request has in this place, to be shown to a person. */
  actual(request: RoutableRequest): unknown
}

/** Methods that are too rare to have a bit. */
export class MethodCondition implements Condition {
  readonly attribute = 'methods'
  readonly expected: readonly string[]

  constructor(methods: readonly string[]) {
    this.expected = methods
  }

  holds(request: RoutableRequest): boolean {
    return this.expected.includes(request.method)
  }

  actual(request: RoutableRequest): string {
    return request.method
  }
}

export class HeaderCondition implements Condition {
  readonly attribute = 'headers'
  readonly expected: Readonly<Record<string, readonly string[]>>
  /** In lower case with '-' for '_'. */
  readonly name: string
  /** In lower case. */
  readonly values: ReadonlySet<string>
  readonly regexes: readonly SafeRegex[]

  constructor(name: string, values: readonly string[], plain: readonly string[], regexes: readonly SafeRegex[]) {
    this.expected = { [name]: values }
    this.name = foldHeaderName(name)
    this.values = new Set(plain.map((value) => value.toLowerCase()))
    this.regexes = regexes
  }

  holds({ headers }: RoutableRequest): boolean {
    for (let at = headers.nextLike(this.name, -1); at >= 0; at = headers.nextLike(this.name, at))
      if (this.#accepts(headers.valueAt(at).toLowerCase())) return true
    return false
  }

  actual({ headers }: RoutableRequest): string[] {
    const values: string[] = []
    for (let at = headers.nextLike(this.name, -1); at >= 0; at = headers.nextLike(this.name, at))
      values.push(headers.valueAt(at))
    return values
  }

  #accepts(value: string): boolean {
    if (this.values.has(value)) return true
    for (const regex of this.regexes) if (regex.test(value)) return true
    return false
  }
}

/** Satisfied by requests without TLS, because those have no server name (Kong #6425). */
export class SniCondition implements Condition {
  readonly attribute = 'snis'
  readonly expected: readonly string[]
  readonly names: ReadonlySet<string>
  readonly #suffixes: readonly string[]
  readonly #prefixes: readonly string[]

  constructor(snis: readonly string[], hasWildcards: boolean) {
    const names = snis.map((sni) => (sni.length > 1 && sni.endsWith('.') ? sni.slice(0, -1) : sni))
    this.expected = snis
    this.names = new Set(names)
    this.#suffixes = hasWildcards ? names.filter((name) => name.startsWith('*')).map((name) => name.slice(1)) : []
    this.#prefixes = hasWildcards ? names.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1)) : []
  }

  get isExact(): boolean {
    return this.#suffixes.length + this.#prefixes.length === 0
  }

  holds({ scheme, sni }: RoutableRequest): boolean {
    if (scheme !== 'https') return true
    if (sni === null) return false
    if (this.names.has(sni)) return true
    for (const suffix of this.#suffixes) if (sni.endsWith(suffix)) return true
    for (const prefix of this.#prefixes) if (sni.startsWith(prefix)) return true
    return false
  }

  actual({ sni }: RoutableRequest): string | null {
    return sni
  }
}

export class QueryCondition implements Condition {
  readonly attribute = 'query'
  readonly expected: Readonly<Record<string, readonly string[]>>
  readonly name: string
  /** Empty: the name must be there. */
  readonly values: ReadonlySet<string>

  constructor(name: string, values: readonly string[]) {
    this.expected = { [name]: values }
    this.name = name
    this.values = new Set(values)
  }

  holds({ query }: RoutableRequest): boolean {
    return query !== null && queryHas(query, this.name, this.values)
  }

  actual({ query }: RoutableRequest): string[] {
    return query === null ? [] : queryValues(query, this.name)
  }
}

export class NetworkCondition implements Condition {
  readonly attribute: 'sources' | 'destinations'
  readonly expected: Networks
  readonly #items: readonly { readonly addresses: BlockList | null; readonly port: number | null }[]

  constructor(attribute: 'sources' | 'destinations', networks: Networks) {
    this.attribute = attribute
    this.expected = networks
    this.#items = networks.map(({ ip, port }) => ({ addresses: ip === null ? null : addressSet([ip]), port }))
  }

  holds(request: RoutableRequest): boolean {
    const isSource = this.attribute === 'sources'
    const address = isSource ? request.clientIp : request.serverIp
    const port = isSource ? request.clientPort : request.serverPort
    for (const item of this.#items) {
      if (item.port !== null && item.port !== port) continue
      if (item.addresses === null || item.addresses.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) return true
    }
    return false
  }

  actual(request: RoutableRequest): { ip: string; port: number } {
    return this.attribute === 'sources'
      ? { ip: request.clientIp, port: request.clientPort }
      : { ip: request.serverIp, port: request.serverPort }
  }
}

export function foldHeaderName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}
