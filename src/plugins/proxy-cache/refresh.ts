/**
 * Asks the upstream again for what is stale while clients get that (RFC 5861 3): by a request of its own, which no client waits for, one
 * for all clients of the node, or with the strategy `redis` of the data center.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { keyName, type Exchange, type Exit, type SharedAnswer, type StoredResponse } from '#pdk'
import { Fill } from './fill.ts'
import { askAgain } from './revalidation.ts'
import { schema } from './schema.ts'
import { FILL_MS, SHARED, type State } from './state.ts'

/** The longest that one may take; `read_timeout` of the service may be less. */
const MOST_MS = 60_000
/** The node's lock is taken for `FILL_MS`, and kept this often for as much. */
const KEEP_MS = FILL_MS / 2
/** Between two looks whether another node has fetched; nobody waits for that. */
const LOOK_MS = 100
/** That they fail is logged so often; the metrics count each. */
const TELL_MS = 60_000

/** Where a refresh is, and what it holds while it is under way. */
export interface RefreshOf {
  /** The text of the address, and that of what is stale. */
  readonly text: string
  readonly foundText: string
  readonly stale: StoredResponse
  /** This node's lock. */
  readonly token: number
  /** The claim in Redis; '' where it is not made yet, or none is needed. */
  readonly claim: string
}

/** Whether the request can be asked once more without its client. */
export function canRefresh({ chooser, request }: Exchange): boolean {
  return chooser !== null && !request.body.exists
}

/** Begins one, which has the lock and the claim from then on. */
export function beginRefresh(exchange: Exchange, state: State, of: RefreshOf): void {
  const refresh = new Refresh(state, of)
  const begin = (copy: Exchange): void => void copy.shared.set(SHARED, refresh)
  const withinMs = Math.min(MOST_MS, exchange.upstream.readTimeoutMs)
  if (exchange.chooser?.repeat(schema.name, withinMs, begin) !== true) refresh.end('refresh_skipped')
}

export class Refresh {
  readonly of: RefreshOf
  readonly #state: State
  #token: number
  #claim: string
  #isOver = false
  readonly #keeping: NodeJS.Timeout

  constructor(state: State, of: RefreshOf) {
    this.#state = state
    this.of = of
    this.#token = of.token
    this.#claim = of.claim
    this.#keeping = setInterval(() => {
      this.#token = state.cache.keepFill(of.foundText, this.#token, FILL_MS)
    }, KEEP_MS)
  }

  /** The access phase of the request without a client. */
  run(copy: Exchange): void | Exit | Promise<void | Exit> {
    const asking = this.#state.shared === null || this.#claim !== '' ? null : this.#ask()
    return asking === null ? this.#fetch(copy) : this.#runShared(copy, asking)
  }

  /** Gives back what it holds, and counts what came of it the first time. */
  end(what: 'refreshed' | 'refresh_shared' | 'refresh_failed' | 'refresh_skipped'): void {
    const { cache, shared, metrics } = this.#state
    clearInterval(this.#keeping)
    if (this.#token !== 0) cache.endFill(this.of.foundText, this.#token)
    if (this.#claim !== '') shared!.endClaim(this.of.foundText, this.#claim, 0)
    this.#token = 0
    this.#claim = ''
    if (!this.#isOver) metrics.counted(schema.name, what)
    this.#isOver = true
  }

  /** The upstream did not answer, or not with what could be stored: what is stale stays, and nobody tries again for a while. */
  failed(copy: Exchange): void {
    const { resting, log } = this.#state
    if (this.#isOver) return this.end('refresh_failed')
    const nowMs = Date.now()
    resting.add(this.of.foundText, nowMs)
    this.end('refresh_failed')
    if (nowMs - this.#state.toldAtMs < TELL_MS) return
    this.#state.toldAtMs = nowMs
    log.warn(
      { route: copy.route?.id, status: copy.upstreamStatus, err: copy.error },
      'stale responses cannot be refreshed',
    )
  }

  /** The upstream has answered anew, with what must not be stored: what it said before no longer holds, on no node. */
  replaced(): void {
    const { cache, shared } = this.#state
    const { text, foundText } = this.of
    cache.drop(foundText)
    shared?.purge(keyName(cache.keyOf(text)))
    this.end('refreshed')
  }

  #ask(): Promise<SharedAnswer | null> | null {
    return this.#state.shared!.find(this.of.foundText, { claims: true, wantsStale: false })
  }

  async #runShared(copy: Exchange, first: Promise<SharedAnswer | null>): Promise<void | Exit> {
    let answer = await first
    while (answer?.state === 'taken' && !hasEnded(copy)) {
      await sleep(LOOK_MS)
      answer = await this.#ask()
    }
    this.#claim = answer?.claim ?? ''
    if (hasEnded(copy)) return this.failed(copy)
    // Another node was first; what it stored is in this node's memory now, or can't be stored.
    if (answer?.state === 'fresh' || answer?.state === 'pass') {
      if (answer.state === 'pass') this.#state.cache.drop(this.of.foundText)
      this.end('refresh_shared')
      return copy.exit(204)
    }
    return this.#fetch(copy)
  }

  #fetch(copy: Exchange): void {
    const { text, foundText, stale } = this.of
    const fill = new Fill(this.#state, text, 'Refresh', copy.now)
    fill.holds(foundText, 0, this.#claim)
    fill.refresh = this
    fill.stale = stale
    fill.takesStale = false
    this.#claim = ''
    askAgain(copy, fill, stale)
    copy.shared.set(SHARED, fill)
  }
}

/** It took too long, and is over. */
function hasEnded(copy: Exchange): boolean {
  return copy.totalLatencyMs >= 0
}
