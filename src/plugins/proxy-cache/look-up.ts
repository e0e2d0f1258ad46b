/**
 * Finds what answers a request, or says who asks the upstream: this exchange, or another one, on this node or another, for which it
 * waits a while.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { FieldName, type Exchange, type Exit, type SharedAnswer, type StoredResponse } from '#pdk'
import { parseCacheControl, type CacheControl } from './cache-control.ts'
import { Fill } from './fill.ts'
import { isFresh, mayServeMeanwhile } from './freshness.ts'
import { beginRefresh, canRefresh } from './refresh.ts'
import { replay } from './replay.ts'
import { variantKey } from './request-key.ts'
import { askAgain } from './revalidation.ts'
import { FILL_MS, SHARED, type State } from './state.ts'

/** How long others wait for somebody who fetches. */
const WAIT_MS = 5_000
/** Between two looks whether another node has fetched. */
const LOOK_MS = 15
const CACHE_CONTROL = new FieldName('Cache-Control')

export function bypass(exchange: Exchange, state: State): void {
  exchange.shared.set(SHARED, new Fill(state, '', 'Bypass', exchange.now))
}

/** Whether one request may stand for those that ask the same at the same time, as its response would be stored. */
export function isAlone({ request }: Exchange): boolean {
  return request.method === 'GET'
}

/** `text` is the request's key. */
export function lookUp(exchange: Exchange, state: State, text: string): void | Exit | Promise<void | Exit> {
  let asked: CacheControl | null = null
  if (state.followsCacheControl) {
    const { headers } = exchange.request
    const fields = CACHE_CONTROL.getAll(headers)
    asked = parseCacheControl(fields)
    if (asked.noStore) return bypass(exchange, state)
    // RFC 9111 5.4.
    if (fields.length === 0 && headers.get('pragma')?.toLowerCase().includes('no-cache') === true)
      asked = parseCacheControl(['no-cache'])
  }
  const stored = state.cache.find(text)
  // Most requests are answered here, without a further object.
  if (stored !== null && stored.facts.varyBy === null && isFresh(stored, asked))
    return replay(exchange, state, stored, 'Hit', exchange.request.headers)
  return new LookUp(exchange, state, text, asked).run(stored)
}

class LookUp {
  readonly #exchange: Exchange
  readonly #state: State
  readonly #text: string
  readonly #asked: CacheControl | null
  readonly #waitUntilMs: number
  /** By what responses for this address differ, as far as known. */
  #varyBy: readonly string[] | null = null
  /** Where the response for this request is. */
  #foundText: string
  /** What can't be served, or only when nothing better is to be had. */
  #stale: StoredResponse | null = null
  /** What is stored would do for others, but not for this client. */
  #isForced = false
  /** Of this node's lock; 0 without. */
  #token = 0
  #claim = ''

  constructor(exchange: Exchange, state: State, text: string, asked: CacheControl | null) {
    this.#exchange = exchange
    this.#state = state
    this.#text = text
    this.#foundText = text
    this.#asked = asked
    this.#waitUntilMs = exchange.startedAtMs + WAIT_MS
  }

  run(atText: StoredResponse | null): void | Exit | Promise<void | Exit> {
    const { cache, shared } = this.#state
    const stored = this.#resolve(atText)
    if (stored !== null && isFresh(stored, this.#asked)) return this.#replay(stored, 'Hit')
    this.#stale = stored
    this.#isForced = this.#asked?.noCache === true || (stored !== null && isFresh(stored, null))
    // What has to be asked for each time is asked for by each: who waits would only be the next to ask.
    if (!this.#isForced && (stored === null || stored.facts.freshForMs > 0) && this.#mayLead()) {
      const isServed = stored !== null && this.#takesMeanwhile(stored)
      if (isServed && this.#isResting()) return this.#replay(stored, 'Stale')
      this.#token = cache.startFill(this.#foundText, FILL_MS)
      if (isServed && this.#token !== 0 && canRefresh(this.#exchange)) return this.#refresh(stored)
      if (this.#token === 0) {
        if (isServed) return this.#replay(stored, 'Stale')
        if (Date.now() < this.#waitUntilMs) return this.#waitAndRun()
      }
    }
    const asking = shared === null || this.#asked?.noCache === true ? null : this.#ask()
    return asking === null ? this.#fetch() : this.#runShared(asking)
  }

  /** What the address's entry leads to: itself, or the variant for this request. */
  #resolve(atText: StoredResponse | null): StoredResponse | null {
    if (atText !== null) this.#varyBy = atText.facts.varyBy
    if (this.#varyBy === null) return atText
    this.#foundText = variantKey(this.#text, this.#exchange, this.#varyBy)
    return this.#state.cache.find(this.#foundText)
  }

  #mayLead(): boolean {
    const { passedOn } = this.#state
    return (
      isAlone(this.#exchange) && this.#asked?.onlyIfCached !== true && !passedOn.has(this.#text, this.#exchange.now)
    )
  }

  async #waitAndRun(): Promise<void | Exit> {
    await this.#state.cache.awaitFill(this.#foundText, Math.max(1, this.#waitUntilMs - Date.now()))
    // A client that has left in the meantime must not take a lock that nobody would give back.
    if (this.#hasLeft()) return
    return this.run(this.#state.cache.find(this.#text))
  }

  /** Whether this client may be served what is stale while the upstream is asked (RFC 5861 3, RFC 9111 5.2.1). */
  #takesMeanwhile(stale: StoredResponse): boolean {
    const asked = this.#asked
    return mayServeMeanwhile(stale) && (asked === null || (asked.maxAge < 0 && asked.minFresh < 0 && !asked.noCache))
  }

  #isResting(): boolean {
    return this.#state.resting.has(this.#foundText, this.#exchange.now)
  }

  /** The client is served what is stale, at once; that is asked for anew without it. */
  #refresh(stale: StoredResponse): Exit {
    const of = { text: this.#text, foundText: this.#foundText, stale, token: this.#token, claim: this.#claim }
    this.#token = 0
    this.#claim = ''
    beginRefresh(this.#exchange, this.#state, of)
    return this.#replay(stale, 'Stale')
  }

  #ask(): Promise<SharedAnswer | null> | null {
    // Only one of a node claims for it, who has the node's lock.
    return this.#state.shared!.find(this.#foundText, { claims: this.#token !== 0, wantsStale: this.#stale === null })
  }

  /** As long as another node fetches, looks again and again. */
  async #runShared(asking: Promise<SharedAnswer | null>): Promise<void | Exit> {
    let answer = await asking
    while (answer?.state === 'taken' && !this.#hasLeft()) {
      const stale = this.#stale ?? answer.value
      if (stale !== null && stale.facts.varyBy === null) {
        if (this.#takesMeanwhile(stale)) return this.#letGo(() => this.#replay(stale, 'Stale'))
        this.#stale = stale
      }
      if (Date.now() >= this.#waitUntilMs) break
      await sleep(LOOK_MS)
      answer = await this.#ask()
    }
    if (answer !== null) this.#claim = answer.claim
    if (this.#hasLeft()) return this.#letGo(() => undefined)
    if (answer === null) return this.#fetch()
    const { state, value } = answer
    if (value !== null) {
      const { varyBy } = value.facts
      if (varyBy !== null && this.#varyBy === null && state !== 'pass') {
        this.#varyBy = varyBy
        return this.#letGo(() => this.run(null))
      }
      if (state === 'fresh' && isFresh(value, this.#asked)) return this.#letGo(() => this.#replay(value, 'Hit'))
    }
    if (state === 'pass') {
      this.#state.passedOn.add(this.#text, this.#exchange.now)
      this.#letGo(() => undefined)
    }
    if (value !== null && value.facts.varyBy === null) {
      this.#stale = value
      if (state === 'mine' && this.#takesMeanwhile(value) && canRefresh(this.#exchange)) {
        if (this.#isResting()) return this.#letGo(() => this.#replay(value, 'Stale'))
        return this.#refresh(value)
      }
    }
    return this.#fetch()
  }

  #fetch(): void | Exit {
    const exchange = this.#exchange
    if (this.#asked?.onlyIfCached === true) return this.#letGo(() => exchange.exit(504))
    const fill = new Fill(this.#state, this.#text, this.#stale === null ? 'Miss' : 'Refresh', exchange.now)
    fill.holds(this.#foundText, this.#token, this.#claim)
    fill.stale = this.#stale
    fill.takesStale = !this.#isForced
    if (this.#state.followsCacheControl && this.#stale !== null) askAgain(exchange, fill, this.#stale)
    exchange.shared.set(SHARED, fill)
  }

  #replay(stored: StoredResponse, status: 'Hit' | 'Stale'): Exit {
    return replay(this.#exchange, this.#state, stored, status, this.#exchange.request.headers)
  }

  /** Gives locks back, then goes on. */
  #letGo<T>(then: () => T): T {
    const { cache, shared } = this.#state
    if (this.#token !== 0) cache.endFill(this.#foundText, this.#token)
    if (this.#claim !== '') shared!.endClaim(this.#foundText, this.#claim, 0)
    this.#token = 0
    this.#claim = ''
    return then()
  }

  #hasLeft(): boolean {
    return this.#exchange.totalLatencyMs >= 0
  }
}
