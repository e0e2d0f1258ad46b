/** One exchange that found nothing fresh: what becomes of the upstream's response. */
import {
  encodeStored,
  keyName,
  SHARED_NAME,
  tagName,
  type BodyTransform,
  type Exchange,
  type HeaderList,
  type PurgeMoment,
  type StoredFacts,
  type StoredResponse,
} from '#pdk'
import { addressOf, variantKey } from './request-key.ts'
import type { Refresh } from './refresh.ts'
import type { State } from './state.ts'
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
  /** What is stored and no longer fresh. */
  stale: StoredResponse | null = null
  /** Whether the client takes `stale` for want of better. */
  takesStale = true
  /** The client's fields, where the upstream was asked whether `stale` still holds and not what the client asked. */
  asked: HeaderList | null = null
  /** Where the upstream is asked while clients are served `stale`. */
  refresh: Refresh | null = null
  isStored = false
  readonly #state: State
  /** When the upstream was asked: in purges, and in time. */
  readonly #generation: number
  readonly #moment: PurgeMoment | null
  readonly #startedAtMs: number
  /** What others wait for, on this node (0 for nobody) and on all ('' for nobody), and its text. */
  #token = 0
  #claim = ''
  #heldText = ''

  constructor(state: State, text: string, status: 'Miss' | 'Refresh' | 'Bypass', nowMs: number) {
    this.#state = state
    this.text = text
    this.status = status
    this.#generation = state.cache.generation
    this.#moment = state.shared === null ? null : state.shared.moment
    this.#startedAtMs = nowMs
  }

  holds(text: string, token: number, claim: string): void {
    this.#heldText = text
    this.#token = token
    this.#claim = claim
  }

  /** Lets those go who wait for this response, which for so many ms shall not wait for each other; may be called again. */
  release(passMs = 0): void {
    const { cache, shared } = this.#state
    if (this.#claim !== '') shared!.endClaim(this.#heldText, this.#claim, passMs)
    if (this.#token !== 0) cache.endFill(this.#heldText, this.#token)
    this.#claim = ''
    this.#token = 0
  }

  /** Collects the body as it passes by, and stores the response at its end. */
  collect(exchange: Exchange, lifetime: Lifetime): BodyTransform {
    // As they are now: what is said of an encoding for this client comes later, and is not of the body that is kept.
    const { headers } = exchange.response
    const store = (parts: readonly Buffer[]) => this.store(exchange, lifetime, parts, headers)
    return new CollectedBody(this, this.#state.cache.largestBytes, store)
  }

  factsOf({ response }: Exchange, lifetime: Lifetime): StoredFacts {
    return {
      status: response.status,
      // Since when it counts: the moment at which it was asked for (RFC 9111 4.2.3), never less.
      storedAtMs: this.#startedAtMs,
      ageS: lifetime.ageS,
      freshForMs: lifetime.freshForMs,
      staleWhileRevalidateMs: lifetime.staleWhileRevalidateMs,
      staleIfErrorMs: lifetime.staleIfErrorMs,
      varyBy: null,
    }
  }

  store(
    exchange: Exchange,
    lifetime: Lifetime,
    body: readonly Buffer[],
    headers: HeaderList = exchange.response.headers,
  ): void {
    const { varyBy, keepForMs } = lifetime
    const facts = this.factsOf(exchange, lifetime)
    const names = [addressOf(exchange), ...tagsOf(headers)]
    const expiresAtMs = this.#startedAtMs + keepForMs
    const { cache, shared } = this.#state
    const key = cache.keyOf(this.text)
    // A node's memory knows the key of what is stored by itself, but that of a variant is another one.
    if (shared !== null || varyBy.length > 0) names.push(keyName(key))
    if (shared !== null) names.push(SHARED_NAME)
    let lines = ''
    for (const [name, value] of headers) if (!NOT_STORED.test(name)) lines += name + ': ' + value + '\r\n'
    // RFC 9110 6.6.1: who keeps a response without a date notes when it came.
    if (!headers.has('date')) lines += `Date: ${new Date(this.#startedAtMs).toUTCString()}\r\n`
    const bytes = encodeStored(facts, key, lines, body)
    if (varyBy.length === 0) this.#put(this.text, bytes, names, facts, expiresAtMs)
    else {
      // What leads to it comes last: who waits for that on another node finds all.
      this.#put(variantKey(this.text, exchange, varyBy), bytes, names, facts, expiresAtMs)
      this.#put(this.text, encodeStored({ ...facts, varyBy }, key, '', []), names, facts, expiresAtMs)
    }
    this.isStored = true
    this.release()
  }

  #put(text: string, bytes: Buffer, names: readonly string[], facts: StoredFacts, expiresAtMs: number): void {
    const { cache, shared } = this.#state
    cache.store(text, bytes, names, this.#generation, expiresAtMs)
    if (shared === null) return
    const freshUntilMs = facts.storedAtMs + facts.freshForMs
    const isHeld = text === this.#heldText
    const claim = isHeld ? this.#claim : ''
    if (isHeld) this.#claim = ''
    shared.store(text, bytes, names, { freshUntilMs, expiresAtMs, moment: this.#moment!, claim })
  }
}

/** The names that an upstream gives a response, by which it can be purged. */
function tagsOf(headers: HeaderList): string[] {
  const keys = headers.getAll('surrogate-key').join(' ').split(/\s+/)
  const tags = headers.getAll('cache-tag').join(',').split(',')
  const names = [...keys, ...tags].map((tag) => tag.trim()).filter((tag) => tag !== '')
  return [...new Set(names)].slice(0, MOST_TAGS).map(tagName)
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
