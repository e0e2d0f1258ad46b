/** One exchange that found nothing fresh: what becomes of the upstream's response. */
import { encodeStored, type BodyTransform, type Exchange, type ResponseCache, type StoredFacts } from '#pdk'
import { addressName, variantKey } from './request-key.ts'
import type { Lifetime } from './storable.ts'

/** What is not the response's own: of this hop, or told anew to each client. */
const NOT_STORED =
  /^(?:connection|keep-alive|proxy-connection|proxy-authenticate|proxy-authorization|te|trailer|transfer-encoding|upgrade|content-length|age|x-cache-key|x-cache-status|x-kong-.*|.*ratelimit-remaining.*)$/i

/** Of a response that belongs to more, the first count. */
const MOST_TAGS = 64

export class Fill {
  /** What X-Cache-Status says. */
  status: 'Miss' | 'Refresh' | 'Bypass'
  /** The text of the address; where responses vary, those of each variant follow from it. */
  readonly text: string
  /** When the upstream was asked, in purges. */
  readonly generation: number
  readonly #cache: ResponseCache
  readonly #startedAtMs: number
  /** Of the lock that others wait for; 0 for none. */
  #token = 0
  #lockText = ''

  constructor(cache: ResponseCache, text: string, status: 'Miss' | 'Refresh' | 'Bypass', nowMs: number) {
    this.#cache = cache
    this.text = text
    this.status = status
    this.generation = cache.generation
    this.#startedAtMs = nowMs
  }

  holds(text: string, token: number): void {
    this.#lockText = text
    this.#token = token
  }

  /** Lets those go who wait for this response; may be called again. */
  release(): void {
    if (this.#token === 0) return
    this.#cache.endFill(this.#lockText, this.#token)
    this.#token = 0
  }

  /** Collects the body as it passes by, and stores the response at its end. */
  collect(exchange: Exchange, lifetime: Lifetime): BodyTransform {
    // As they are now: what is said of an encoding for this client comes later, and is not of the body that is kept.
    const { headers } = exchange.response
    return new CollectedBody(this, this.#cache.largestBytes, (parts) => this.store(exchange, lifetime, parts, headers))
  }

  store(exchange: Exchange, lifetime: Lifetime, body: readonly Buffer[], headers = exchange.response.headers): void {
    const { response } = exchange
    const { varyBy, keepForMs } = lifetime
    // Since when it counts: the moment at which it was asked for (RFC 9111 4.2.3), never less.
    const facts: StoredFacts = {
      status: response.status,
      storedAtMs: this.#startedAtMs,
      ageS: lifetime.ageS,
      freshForMs: lifetime.freshForMs,
      staleWhileRevalidateMs: lifetime.staleWhileRevalidateMs,
      staleIfErrorMs: lifetime.staleIfErrorMs,
      varyBy: null,
    }
    const names = [addressName(exchange), ...tagsOf(exchange)]
    const expiresAtMs = this.#startedAtMs + keepForMs
    let text = this.text
    const key = this.#cache.keyOf(text)
    if (varyBy.length > 0) {
      const marker = encodeStored({ ...facts, varyBy }, key, '', [])
      this.#cache.store(text, marker, names, this.generation, expiresAtMs)
      text = variantKey(text, exchange, varyBy)
    }
    let lines = ''
    for (const [name, value] of headers) if (!NOT_STORED.test(name)) lines += name + ': ' + value + '\r\n'
    // RFC 9110 6.6.1: who keeps a response without a date notes when it came.
    if (!headers.has('date')) lines += `Date: ${new Date(this.#startedAtMs).toUTCString()}\r\n`
    this.#cache.store(text, encodeStored(facts, key, lines, body), names, this.generation, expiresAtMs)
    this.release()
  }
}

/** The names that an upstream gives a response, by which it can be purged. */
function tagsOf({ response: { headers } }: Exchange): string[] {
  const keys = headers.getAll('surrogate-key').join(' ').split(/\s+/)
  const tags = headers.getAll('cache-tag').join(',').split(',')
  const names = [...keys, ...tags].map((tag) => tag.trim()).filter((tag) => tag !== '')
  return [...new Set(names)].slice(0, MOST_TAGS).map((tag) => 'tag:' + tag)
}

class CollectedBody implements BodyTransform {
  readonly keepsLength = true
  readonly #fill: Fill
  readonly #largestBytes: number
  readonly #store: (parts: readonly Buffer[]) => void
  #parts: Buffer[] | null = []
  #bytes = 0

  constructor(fill: Fill, largestBytes: number, store: (parts: readonly Buffer[]) => void) {
    this.#fill = fill
    this.#largestBytes = largestBytes
    this.#store = store
  }

  chunk(bytes: Buffer): Buffer {
    if (this.#parts === null) return bytes
    this.#bytes += bytes.length
    if (this.#bytes <= this.#largestBytes) this.#parts.push(Buffer.from(bytes))
    else {
      // Too large to be kept: it passes, and nobody needs to wait for it.
      this.#parts = null
      this.#fill.release()
    }
    return bytes
  }

  end(): null {
    if (this.#parts !== null) this.#store(this.#parts)
    this.#parts = null
    return null
  }
}
