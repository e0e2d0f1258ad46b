/**
 * Copies the rows of counters between the Redis of data centers, both ways and on the main thread. One node of each data center does
 * it, whoever holds the lease in its Redis; it takes the names of windows that have changed there, and for each of them gives every
 * other data center the rows that it lacks and takes those that it has more. So a window that is in use anywhere is known everywhere
 * after an interval, and what a Redis has lost comes back from the others with the next use.
 *
 * Nothing here has to be done once only: rows never get less. Of two that exchange at once the one that was replaced gets no names.
 */
import type { Logger } from '#telemetry/logger.ts'
import { exchangeKeys, type DataCenters } from './data-centers.ts'
import { CHANGED, GIVE, LEAD, RETIRE } from './limit-scripts.ts'
import { leftOf, mergeWindow, moreOf, unionOf, type Held, type Row, type WindowLink } from './limit-rows.ts'
import { LimitRestore } from './limit-restore.ts'
import { RedisFailure, type RedisLink } from './redis-link.ts'

export interface PeerRedis {
  readonly name: string
  readonly link: Pick<RedisLink, 'run' | 'command'>
}

export interface LimitExchangeOptions {
  readonly dataCenters: DataCenters
  readonly local: WindowLink
  readonly peers: readonly PeerRedis[]
  readonly keyPrefix: string
  /** This start of this node. */
  readonly holder: string
  readonly log: Pick<Logger, 'warn' | 'info'>
  readonly monotonicMs: () => number
  /** Rejects when the signal gives it up. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>
}

/** What is known of another data center. */
export interface PeerState {
  readonly name: string
  /** Since the last round in which all was exchanged, on the monotonic clock; null before the first. */
  exchangedAtMs: number | null
  isFailing: boolean
  /** What was counted in either and only now told the other, by this node, since the start. */
  counted: number
  /** How much of it in a second, lately. */
  perSecond: number
}

/** Windows in a round, and under way at a time; each has a statement here and one for each other data center. */
const ROUND_WINDOWS = 1000
const AT_ONCE = 256
/** A node that has the lease and is silent for so long is replaced. */
const LEASE_MS = 2000
/** How long workers collect names at most. */
const COLLECTED_MS = 50
/** What is left of a rate after a second. */
const FADING = 0.5

export class LimitExchange {
  readonly peers: readonly PeerState[]
  /** Windows that wait for their turn. */
  waiting = 0
  /** Rounds in which everybody was reached, since the start. */
  rounds = 0
  /** Windows exchanged, since the start. */
  exchanged = 0
  readonly #options: LimitExchangeOptions
  readonly #keys: ReturnType<typeof exchangeKeys>
  readonly #closing = new AbortController()
  #token = '0'
  #leadingSinceMs = 0
  #running: Promise<void> = Promise.resolve()
  readonly #restore: LimitRestore
  #ratedAtMs: number
  /** What was learned of each when the rate was taken last. */
  readonly #countedBefore: Map<PeerState, number>

  constructor(options: LimitExchangeOptions) {
    this.#options = options
    this.#keys = exchangeKeys(options.keyPrefix)
    this.#restore = new LimitRestore(options)
    this.#ratedAtMs = options.monotonicMs()
    this.peers = options.peers.map(({ name }) => ({
      name,
      exchangedAtMs: null,
      isFailing: false,
      counted: 0,
      perSecond: 0,
    }))
    this.#countedBefore = new Map(this.peers.map((peer) => [peer, 0]))
  }

  /** Whether this node exchanges for its data center. */
  get isLeader(): boolean {
    return this.#token !== '0'
  }

  /** Ms since all was exchanged with a data center; 0 while this node does not exchange. */
  ageOf({ exchangedAtMs }: PeerState): number {
    if (!this.isLeader) return 0
    return this.#options.monotonicMs() - (exchangedAtMs ?? this.#leadingSinceMs)
  }

  /**
   * The part of this exchange in what may be admitted over counted limits, all together, before data centers have heard of each
   * other: the rate of what it tells them lately, times how long that takes: collecting names, a round under way, and one more or
   * the time since the last. Both exchanges of two data centers have the whole of it.
   */
  excessOf(peer: PeerState): number {
    if (!this.isLeader) return 0
    const { exchangeMs } = this.#options.dataCenters
    return (peer.perSecond * (COLLECTED_MS + exchangeMs + Math.max(exchangeMs, this.ageOf(peer)))) / 1000
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    if (this.isLeader) await this.#options.local.run(RETIRE, [this.#keys.lease], [this.#token])
    this.#token = '0'
  }

  /** Once through what has changed, as far as a round goes. */
  async round(): Promise<void> {
    const { local, holder } = this.#options
    const { lease, changed } = this.#keys
    const lead = await local.run(LEAD, [lease], [holder, LEASE_MS])
    this.#lead(lead instanceof RedisFailure ? '0' : String(lead))
    if (!this.isLeader) return
    await this.#restore.round()
    const taken = await local.run(CHANGED, [lease, changed], [this.#token, ROUND_WINDOWS])
    if (taken instanceof RedisFailure) return
    const [isHolder, left, ...names] = taken as string[]
    if (isHolder === '0') return this.#lead('0')
    this.waiting = Number(left)
    const failures = new Map<PeerState, string>()
    // Also where nothing has changed it is to be known whether the others can be reached.
    await Promise.all(
      names.length === 0
        ? this.peers.map((peer) => this.#reach(peer, failures))
        : Array.from({ length: Math.min(AT_ONCE, names.length) }, () => this.#drain(names, failures)),
    )
    this.#judge(failures)
    if (failures.size === 0) this.rounds++
  }

  async #run(): Promise<void> {
    const { delay, monotonicMs, dataCenters } = this.#options
    const { signal } = this.#closing
    while (!signal.aborted) {
      const beganMs = monotonicMs()
      await this.round()
      // What waits does not wait for an interval, too.
      const leftMs = this.waiting > 0 ? 1 : beganMs + dataCenters.exchangeMs - monotonicMs()
      // Given up when this is closed.
      await delay(Math.max(1, leftMs), signal).catch(() => undefined)
    }
  }

  #lead(token: string): void {
    if (token === this.#token) return
    const was = this.isLeader
    this.#token = token
    if (was === this.isLeader) return
    const { log, dataCenters } = this.#options
    const fields = { dataCenter: dataCenters.local }
    this.#leadingSinceMs = this.#options.monotonicMs()
    if (this.isLeader) log.info(fields, 'this node exchanges limits with the other data centers')
    else log.info(fields, 'this node no longer exchanges limits with the other data centers')
    for (const peer of this.peers) {
      peer.exchangedAtMs = null
      peer.isFailing = false
    }
  }

  async #drain(names: string[], failures: Map<PeerState, string>): Promise<void> {
    for (let key = names.pop(); key !== undefined; key = names.pop()) await this.#exchange(key, failures)
  }

  /** Of one window: with all others at once, and then here what they had more. */
  async #exchange(key: string, failures: Map<PeerState, string>): Promise<void> {
    const held = await mergeWindow(this.#options.local, key)
    // It has ended meanwhile, or this Redis does not answer, which the next round finds.
    if (held instanceof RedisFailure || held.lifeMs < 0) return
    const isLeased = key.startsWith(this.#keys.leased)
    const answers = await Promise.all(
      this.#options.peers.map((peer, index) =>
        this.#exchangeWith(peer, this.peers[index]!, key, held, isLeased, failures),
      ),
    )
    const gained = answers.flatMap((rows) => rows ?? [])
    const isAllKnown = isLeased && answers.every((rows) => rows !== null)
    if (gained.length > 0 || (isAllKnown && !held.own.has('c')))
      await mergeWindow(this.#options.local, key, { lifeMs: held.lifeMs, rows: gained, isAllKnown })
    this.exchanged++
  }

  /** Rows that this data center lacks; null when the other one does not answer. */
  async #exchangeWith(
    peer: PeerRedis,
    state: PeerState,
    key: string,
    held: Held,
    isLeased: boolean,
    failures: Map<PeerState, string>,
  ): Promise<readonly Row[] | null> {
    // One that has failed in this round is not waited for again and again.
    if (failures.has(state)) return null
    const theirs = await mergeWindow(peer.link, key, held)
    if (theirs instanceof RedisFailure) {
      failures.set(state, theirs.message)
      return null
    }
    const gained = moreOf(theirs.rows, held.rows)
    state.counted += gained.counted + moreOf(held.rows, theirs.rows).counted
    if (!isLeased) return gained.rows
    const gift = await this.#ask(peer, key, held, theirs)
    return gift === null ? gained.rows : [...gained.rows, gift]
  }

  /** Asks for a part of what the other data center has left, where that is more than twice as much. */
  async #ask(peer: PeerRedis, key: string, held: Held, theirs: Held): Promise<Row | null> {
    const { local, names } = this.#options.dataCenters
    const most = held.own.get('L')
    const startMs = held.own.get('s')
    if (most === undefined || startMs === undefined) return null
    const rows = unionOf(held.rows, theirs.rows)
    const leftHere = leftOf(local, names, most, rows, held.own.get('k'))
    const leftThere = leftOf(peer.name, names, most, rows, theirs.own.get('k'))
    if (leftThere < 1 || Math.max(0, leftHere) * 2 >= leftThere) return null
    const answer = await peer.link.run(
      GIVE,
      [key, this.#keys.birth],
      [peer.name, names.indexOf(peer.name), local, names.indexOf(local), names.length, most, startMs],
    )
    // When it was given and the answer is lost, the next exchange finds it there.
    if (answer instanceof RedisFailure) return null
    return { name: giftName(peer.name, local), value: Number(answer) }
  }

  async #reach(state: PeerState, failures: Map<PeerState, string>): Promise<void> {
    const { link } = this.#options.peers.find(({ name }) => name === state.name)!
    const answer = await mergeWindow(link, this.#keys.lease)
    if (answer instanceof RedisFailure) failures.set(state, answer.message)
  }

  #judge(failures: ReadonlyMap<PeerState, string>): void {
    const { monotonicMs, log } = this.#options
    const nowMs = monotonicMs()
    const seconds = Math.max(1e-3, (nowMs - this.#ratedAtMs) / 1000)
    this.#ratedAtMs = nowMs
    for (const peer of this.peers) {
      const isFailing = failures.has(peer)
      if (!isFailing) {
        peer.exchangedAtMs = nowMs
        const weight = 1 - FADING ** seconds
        peer.perSecond += weight * ((peer.counted - this.#countedBefore.get(peer)!) / seconds - peer.perSecond)
      }
      this.#countedBefore.set(peer, peer.counted)
      if (isFailing === peer.isFailing) continue
      peer.isFailing = isFailing
      if (isFailing)
        log.warn(
          { dataCenter: peer.name, reason: failures.get(peer) },
          'limits are not exchanged with a data center, each limits by what it knows of the other',
        )
      else log.info({ dataCenter: peer.name }, 'limits are exchanged with a data center again')
    }
  }
}

function giftName(giver: string, taker: string): string {
  return `>${giver}.${taker}`
}
