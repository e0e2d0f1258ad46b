/**
 * Responses that the nodes of a data center share in a Redis, behind what each node has in its own memory. Nothing here rejects or takes
 * longer than the deadline of a command; without Redis a node goes on with its own memory alone.
 */
import { randomUUID } from 'node:crypto'
import type { PurgeMoment, SharedPurges } from './shared-purges.ts'
import { RedisFailure, type RedisLink } from './redis-link.ts'
import type { ResponseCache } from './response-cache.ts'
import { END_CLAIM, FIND_RESPONSE, KEEP_CLAIM, responseKeys, STORE_RESPONSE } from './redis-response-scripts.ts'
import { packValue, unpackValue, type SharedValue } from './shared-value.ts'

/**
 * `fresh`: here it is; `none`: nothing, and nobody was asked to fetch; `mine`: who asked is to fetch it; `taken`: somebody else fetches;
 * `pass`: it can't be stored, so that nobody should wait for it.
 */
export type SharedState = 'fresh' | 'none' | 'mine' | 'taken' | 'pass'

export interface SharedAnswer<T> {
  readonly state: SharedState
  /** With `fresh` what is stored; with the others what is stale, where that was wanted. */
  readonly value: T | null
  /** Of a fetch that is `mine`; else ''. */
  readonly claim: string
}

export interface SharedQuestion {
  /** Whether who asks would fetch what is missing, and the others may wait for it. */
  readonly claims: boolean
  readonly wantsStale: boolean
}

export interface StoreOptions {
  /** Until when it is fresh, and kept; Unix ms. */
  readonly freshUntilMs: number
  readonly expiresAtMs: number
  readonly moment: PurgeMoment
  /** The fetch that this ends; '' for none. */
  readonly claim: string
}

export interface RedisResponsesOptions<T> {
  readonly link: Pick<RedisLink, 'run' | 'answersFor' | 'isUp'>
  /** The node's own memory, which gets what is found. */
  readonly near: ResponseCache<T>
  readonly decode: (bytes: Buffer) => T | null
  readonly purges: SharedPurges
  readonly keyPrefix: string
  readonly largestBytes: number
  readonly now: () => number
  /** Runs it again and again after so many ms; what is returned ends that. */
  readonly every: (run: () => void, ms: number) => () => void
  /** Called with each close; says whether it was the last one's. */
  readonly release: () => boolean
}

/** How long after its last sign of life somebody who fetches is believed to. */
const CLAIM_MS = 3000
/** More than any response and what is told of it. */
const MOST_UNPACKED = 4 << 20
/** A key lives no longer. */
const LONGEST_MS = 7 * 86_400_000

export class RedisResponses<T> {
  readonly #options: RedisResponsesOptions<T>
  readonly #start = randomUUID().slice(0, 13)
  /** Claims of this thread, by their names, with their keys. */
  readonly #claims = new Map<string, string>()
  #claimed = 0
  #stopKeeping: (() => void) | null = null
  hits = 0
  misses = 0

  constructor(options: RedisResponsesOptions<T>) {
    this.#options = options
  }

  get largestBytes(): number {
    return this.#options.largestBytes
  }

  /** What was purged by now: to be remembered when a response is asked for, and given to `store`. */
  get moment(): PurgeMoment {
    return this.#options.purges.moment
  }

  /** Null at once while Redis is known not to answer, null later when it did not in time. What is fresh is in the node's memory then. */
  find(text: string, question: SharedQuestion): Promise<SharedAnswer<T> | null> | null {
    const { purges, link } = this.#options
    const keys = this.#keysOf(text)
    if (!link.answersFor(keys[0])) return null
    if (purges.isReady) return this.#find(text, keys, question, '')
    return purges.prepare().then((isReady) => (isReady ? this.#find(text, this.#keysOf(text), question, '') : null))
  }

  /** Drops everything that was stored with this name, on every node of the data center. */
  purge(name: string): void {
    this.#options.purges.purge(name)
  }

  /** Not waited for: what can't be stored is asked for again. */
  store(text: string, bytes: Buffer, names: readonly string[], options: StoreOptions): void {
    const keys = this.#keysOf(text)
    const { link, now, largestBytes, purges } = this.#options
    const { freshUntilMs, expiresAtMs, moment, claim } = options
    const livesMs = Math.min(LONGEST_MS, Math.ceil(expiresAtMs - now()))
    this.#claims.delete(claim)
    if (bytes.length > largestBytes || livesMs <= 0) return this.endClaim(text, claim, 0)
    if (!purges.isReady || !link.answersFor(keys[0])) return
    const id = randomUUID().slice(0, 18)
    void packValue({ id, names, moment, expiresAtMs, bytes }).then((value) =>
      link.run(STORE_RESPONSE, keys, [value, freshUntilMs, id, livesMs, claim]),
    )
  }

  /** Lets others fetch; for `passMs` they are told not to wait for each other. */
  endClaim(text: string, claim: string, passMs: number): void {
    if (claim !== '') this.#endClaim(this.#keysOf(text)[1], claim, passMs)
  }

  close(): void {
    if (!this.#options.release()) return
    this.#stopKeeping?.()
    this.#options.purges.close()
  }

  async #find(
    text: string,
    keys: readonly [string, string],
    question: SharedQuestion,
    rejected: string,
  ): Promise<SharedAnswer<T> | null> {
    const { near, decode, link, now } = this.#options
    const { claims, wantsStale } = question
    const key = near.keyOf(text)
    // Before the answer: what is purged while it is on its way is not kept.
    const { generation } = near
    const wanted = claims ? `${this.#start}.${++this.#claimed}` : ''
    const args = [now(), wanted, claims ? CLAIM_MS : 0, rejected, wantsStale ? 1 : 0]
    const answer = await link.run(FIND_RESPONSE, keys, args, 'bytes')
    if (answer instanceof RedisFailure) {
      // It may have been done after all.
      if (claims) this.#endClaim(keys[1], wanted, 0)
      return null
    }
    const [word, bytes] = answer as readonly [Buffer, Buffer | null]
    const state = word.latin1Slice() as SharedState
    const claim = state === 'mine' ? this.#keep(wanted, keys[1]) : ''
    if (bytes === null) {
      this.misses++
      return { state, value: null, claim }
    }
    near.recall(text, key)
    const unpacked = unpackValue(bytes, MOST_UNPACKED)
    const found = unpacked instanceof Promise ? await unpacked : unpacked
    const value = found === null || this.#isPurged(found) ? null : decode(found.bytes)
    if (value === null || found === null) {
      if (state !== 'fresh') return { state, value: null, claim }
      // Purged, or of another version: it goes, and somebody fetches. At most once, since nobody stores what is purged.
      return rejected === '' && found !== null ? this.#find(text, keys, question, found.id) : null
    }
    if (state === 'fresh') {
      this.hits++
      near.store(text, found.bytes, found.names, generation, found.expiresAtMs)
    } else this.misses++
    return { state, value, claim }
  }

  #keep(claim: string, key: string): string {
    this.#claims.set(claim, key)
    this.#stopKeeping ??= this.#options.every(() => this.#keepClaims(), CLAIM_MS / 3)
    return claim
  }

  #endClaim(key: string, claim: string, passMs: number): void {
    this.#claims.delete(claim)
    if (this.#options.link.answersFor(key)) void this.#options.link.run(END_CLAIM, [key], [claim, passMs])
  }

  #keepClaims(): void {
    for (const [claim, key] of this.#claims)
      if (this.#options.link.answersFor(key)) void this.#options.link.run(KEEP_CLAIM, [key], [claim, CLAIM_MS])
  }

  #isPurged({ moment, names, expiresAtMs }: SharedValue): boolean {
    return expiresAtMs <= this.#options.now() || this.#options.purges.isPurged(moment, names)
  }

  #keysOf(text: string): readonly [string, string] {
    const { near, keyPrefix, purges } = this.#options
    return responseKeys(keyPrefix, purges.space, near.keyOf(text))
  }
}
