/**
 * Keeps answers of OCSP for the certificates of the listeners: asks for each at its responder, asks again in the middle of its
 * time, and again and again while that fails, so that clients go on getting the last one as long as it is in force.
 */
import { ocspPair, ocspQuestion, ocspVerdict, type OcspPair } from '#core/ocsp.ts'
import { responderUrls } from '#core/pki.ts'
import { certificateKey, readChain, type Staple } from './staples.ts'

/** Why a certificate has no staple; `later` is that it was not asked for yet. */
export type StapleState = 'current' | 'later' | 'failing' | 'revoked' | 'impossible'

/** Keeps answers beyond the process, so that a node can start while a responder is away. */
export interface StapleStore {
  read(key: string): Promise<Buffer | null>
  write(key: string, answer: Buffer): Promise<void>
  /** Removes all others. */
  keepOnly(keys: ReadonlySet<string>): Promise<void>
}

export interface StaplerOptions {
  /** The answer to a question in DER; rejects when there is none. */
  readonly ask: (url: string, question: Buffer) => Promise<Buffer>
  readonly store: StapleStore
  readonly nowMs: () => number
  readonly random: () => number
  /** Told of answers that came, and of those that are no longer to be used. */
  readonly changed: (staples: readonly Staple[]) => void
  readonly answered: (outcome: 'good' | 'revoked' | 'unknown' | 'failed') => void
  readonly log: {
    info(fields: object, message: string): void
    warn(fields: object, message: string): void
    error(fields: object, message: string): void
  }
}

/** Questions at a time: authorities limit what one address may ask. */
const CONCURRENCY = 4
const RETRY_MS = 30_000
const RETRY_MAX_MS = 3_600_000
/** For answers that name no end. */
const UNBOUNDED_MS = 3_600_000
/** An authority whose answers are for a moment only is not asked all the time. */
const REFRESH_MIN_MS = 60_000

interface Entry {
  readonly key: string
  readonly subject: string
  readonly pair: OcspPair | null
  readonly urls: readonly string[]
  state: StapleState
  staple: Staple | null
  dueMs: number
  failures: number
  isBusy: boolean
}

export class Stapler {
  readonly #options: StaplerOptions
  /** By the text of the chain, so that one that did not change is not parsed again. */
  #byPem = new Map<string, Entry | null>()
  #byKey = new Map<string, Entry>()
  #running = 0
  #setting: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(options: StaplerOptions) {
    this.#options = options
  }

  /** Takes these chains (PEM) in the place of those before. Resolves when what the store has of them is in use; never rejects. */
  set(chains: ReadonlySet<string>): Promise<void> {
    return (this.#setting = this.#setting.then(() => this.#set(chains)))
  }

  /** To be called about every second. */
  tick(): void {
    const nowMs = this.#options.nowMs()
    for (const entry of this.#byKey.values()) {
      if (this.#running >= CONCURRENCY) return
      if (!entry.isBusy && entry.pair !== null && nowMs >= entry.dueMs) void this.#refresh(entry, entry.pair)
    }
  }

  /** All that are in force, for a worker that starts. */
  staples(): Staple[] {
    return [...this.#byKey.values()].flatMap(({ staple }) => (staple === null ? [] : [staple]))
  }

  /** Questions under way. */
  get asking(): number {
    return this.#running
  }

  count(state: StapleState): number {
    let count = 0
    for (const entry of this.#byKey.values()) if (this.#stateOf(entry) === state) count++
    return count
  }

  /** When the first of the answers in use ends (Unix time, ms); null without any. */
  get firstEndMs(): number | null {
    const ends = this.staples().flatMap(({ untilMs }) => (untilMs > this.#options.nowMs() ? [untilMs] : []))
    return ends.length === 0 ? null : Math.min(...ends)
  }

  close(): void {
    this.#isClosed = true
    this.#byKey.clear()
  }

  /** One that is over is no longer used, whatever else became of it. */
  #stateOf({ state, staple }: Entry): StapleState {
    return state === 'current' && (staple === null || this.#options.nowMs() >= staple.untilMs) ? 'failing' : state
  }

  async #set(chains: ReadonlySet<string>): Promise<void> {
    const before = this.#byKey
    const byPem = new Map<string, Entry | null>()
    const byKey = new Map<string, Entry>()
    for (const pem of chains) {
      const known = this.#byPem.get(pem)
      const entry = known === undefined ? await this.#open(pem, before, byKey) : known
      byPem.set(pem, entry)
      if (entry !== null && byKey.get(entry.key)?.pair == null) byKey.set(entry.key, entry)
    }
    if (this.#isClosed) return
    const added = [...byKey.values()].filter((entry) => before.get(entry.key) !== entry)
    // Nobody is asked before it is known what is there.
    for (const entry of added) entry.isBusy = true
    this.#byPem = byPem
    this.#byKey = byKey
    const gone = [...before.keys()].filter((key) => !byKey.has(key))
    if (gone.length > 0) this.#options.changed(gone.map((key) => ({ key, answer: null, untilMs: 0 })))
    for (const entry of added) await this.#restore(entry)
    try {
      await this.#options.store.keepOnly(new Set(byKey.keys()))
    } catch (error) {
      this.#options.log.warn({ err: error }, 'old answers of certificate authorities cannot be removed')
    }
  }

  /** Null for a certificate that has no responder: most have none, and that is no fault. */
  async #open(
    pem: string,
    before: ReadonlyMap<string, Entry>,
    found: ReadonlyMap<string, Entry>,
  ): Promise<Entry | null> {
    const chain = readChain(pem)
    const urls = chain === null ? [] : responderUrls(chain.leaf).slice(0, 2)
    if (chain === null || urls.length === 0) return null
    const { leaf, issuer } = chain
    const key = certificateKey(leaf.raw)
    const subject = leaf.subject.replaceAll('\n', ', ')
    const pair = issuer !== null ? await ocspPair(leaf, issuer) : null
    const known = before.get(key) ?? found.get(key)
    // The same certificate in another text, maybe with its issuer now.
    if (known !== undefined && known.pair !== null) return known
    if (pair === null)
      this.#options.log.warn(
        { certificate: subject },
        'a certificate cannot be stapled, its issuer is not among those that come with it',
      )
    const state = pair === null ? 'impossible' : 'later'
    return { key, subject, pair, urls, state, staple: null, dueMs: 0, failures: 0, isBusy: false }
  }

  async #restore(entry: Entry): Promise<void> {
    const { store, nowMs } = this.#options
    try {
      const answer = await store.read(entry.key)
      if (answer !== null && entry.pair !== null) {
        const verdict = await ocspVerdict(answer, entry.pair, nowMs())
        if (verdict.state === 'good') this.#use(entry, answer, verdict.thisUpdateMs, verdict.nextUpdateMs)
      }
    } catch (error) {
      this.#options.log.warn({ err: error, certificate: entry.subject }, 'a stored answer of OCSP cannot be read')
    }
    entry.isBusy = false
  }

  async #refresh(entry: Entry, pair: OcspPair): Promise<void> {
    entry.isBusy = true
    this.#running++
    let reason = ''
    for (const url of entry.urls) {
      reason = await this.#tried(entry, pair, url)
      if (reason === '') break
    }
    this.#running--
    entry.isBusy = false
    if (reason === '' || this.#isClosed) return
    const { nowMs, random, log } = this.#options
    entry.dueMs = nowMs() + Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** entry.failures++) * (0.75 + random() / 2)
    if (entry.failures === 1)
      log.warn({ certificate: entry.subject, reason }, 'an answer of OCSP cannot be had, it is asked for again')
    if (entry.state === 'later') entry.state = 'failing'
  }

  /** Empty when it went well, else why not. */
  async #tried(entry: Entry, pair: OcspPair, url: string): Promise<string> {
    const { ask, nowMs, answered, log } = this.#options
    let answer: Buffer
    let verdict
    try {
      answer = await ask(url, await ocspQuestion(pair))
      verdict = await ocspVerdict(answer, pair, nowMs())
    } catch (error) {
      answered('failed')
      return error instanceof Error ? error.message : String(error)
    }
    answered(verdict.state)
    if (verdict.state === 'unknown') return verdict.reason
    if (this.#byKey.get(entry.key) !== entry) return ''
    const { state } = entry
    const { thisUpdateMs, nextUpdateMs } = verdict
    if (verdict.state === 'revoked') {
      // It would only tell clients what they find out anyway, and be kept by those that do not ask again.
      this.#drop(entry)
      entry.state = 'revoked'
      entry.dueMs = this.#refreshMs(thisUpdateMs, nextUpdateMs)
      if (state !== 'revoked') log.error({ certificate: entry.subject }, 'a certificate that is served is revoked')
      return ''
    }
    this.#use(entry, answer, thisUpdateMs, nextUpdateMs)
    if (state !== 'current') log.info({ certificate: entry.subject }, 'a certificate is stapled')
    try {
      await this.#options.store.write(entry.key, answer)
    } catch (error) {
      // It is in use all the same; only a start without the responder would be without it.
      log.warn({ err: error, certificate: entry.subject }, 'an answer of OCSP cannot be stored')
    }
    return ''
  }

  #use(entry: Entry, answer: Buffer, thisUpdateMs: number, nextUpdateMs: number | null): void {
    const untilMs = nextUpdateMs ?? thisUpdateMs + 24 * UNBOUNDED_MS
    if (untilMs <= this.#options.nowMs()) return
    entry.staple = { key: entry.key, answer, untilMs }
    entry.state = 'current'
    entry.failures = 0
    entry.dueMs = this.#refreshMs(thisUpdateMs, nextUpdateMs)
    this.#options.changed([entry.staple])
  }

  #drop(entry: Entry): void {
    entry.failures = 0
    if (entry.staple === null) return
    entry.staple = null
    this.#options.changed([{ key: entry.key, answer: null, untilMs: 0 }])
  }

  /** The middle of its time, so that an authority may be away for half of it; nodes do not ask all at once. */
  #refreshMs(thisUpdateMs: number, nextUpdateMs: number | null): number {
    const { nowMs, random } = this.#options
    const lengthMs = nextUpdateMs === null ? 2 * UNBOUNDED_MS : nextUpdateMs - thisUpdateMs
    return Math.max(nowMs() + REFRESH_MIN_MS, thisUpdateMs + lengthMs * (0.45 + random() / 10))
  }
}
