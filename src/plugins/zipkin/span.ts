/** Spans in the form of Zipkin's API, version 2. */

export interface Annotation {
  readonly value: string
  /** Unix microseconds. */
  readonly timestamp: number
}

export interface Endpoint {
  serviceName?: string
  ipv4?: string
  ipv6?: string
  port?: number
}

export interface ZipkinSpan {
  readonly traceId: string
  readonly id: string
  readonly parentId?: string
  readonly name: string
  readonly kind: 'SERVER' | 'CLIENT'
  /** Unix microseconds. */
  readonly timestamp: number
  readonly duration: number
  readonly localEndpoint: Endpoint
  readonly remoteEndpoint?: Endpoint
  readonly tags?: Readonly<Record<string, string>>
  readonly annotations?: readonly Annotation[]
}

/** Undefined where neither a port nor a service is known, as Kong tells of no such end. */
export function endpointOf(ip: string | null, port: number, service: string | null): Endpoint | undefined {
  if (port === 0 && service === null) return undefined
  const endpoint: Endpoint = {}
  if (service !== null) endpoint.serviceName = service
  if (port !== 0) endpoint.port = port
  if (ip !== null && ip !== '') endpoint[ip.includes(':') ? 'ipv6' : 'ipv4'] = ip
  return endpoint
}

/** Tags of one span. Zipkin takes no empty values. */
export class Tags {
  readonly #tags: Record<string, string> = {}

  set(name: string, value: string | number | boolean | null | undefined): void {
    if (value === null || value === undefined || value === '') return
    // A tag that a client names `__proto__` must stay one.
    Object.defineProperty(this.#tags, name, { value: String(value), enumerable: true, configurable: true })
  }

  get all(): Readonly<Record<string, string>> {
    return this.#tags
  }
}

export function micros(ms: number): number {
  return Math.round(ms * 1000)
}
