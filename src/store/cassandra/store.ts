/**
 * The configuration store on Cassandra. Everything is read from the node's copy; the cluster is asked for three things only: what
 * comes next in the log (`poll`), the next slot for an entry of ours (`append`), and writing the projection (`project`).
 *
 * An append validates against the copy at revision n and inserts at n + 1. If the copy was behind, or another writes at the same
 * time, the slot is taken: nothing that was validated against an old state is ever committed.
 */
import { GatewayError } from '#core/errors.ts'
import type { Change, Row } from '#model/document.ts'
import type {
  AppendResult,
  ConfigStore,
  Filter,
  Head,
  LogEntry,
  Page,
  PageOfRows,
  Retention,
  StateReader,
  Transaction,
} from '../contract.ts'
import type { LocalCopy } from '../local-copy.ts'
import { Beginning } from './beginning.ts'
import type { CassandraStore, CassandraStoreOptions } from './cassandra-store.ts'
import { ClusterLog, FIRST_EPOCH, type Epoch, type Slot } from './cluster-log.ts'
import { Filler, type FillProgress } from './filler.ts'
import { loadCopy } from './load.ts'
import { CassandraFailure, type ReadConsistency } from './port.ts'
import { OpenOutcomes } from './open-outcomes.ts'
import { ProjectionTables, type ProjectionScope } from './projection-tables.ts'
import { Projector } from './projector.ts'

const BATCH = 100
/** Of entries that this data center missed: each such read also repairs its replicas, at two more trips to the others. */
const MISSED_BATCH = 400
const SETTLE_MS = 8_000
const FIRST_REPEAT_MS = 50
const LONGEST_REPEAT_MS = 1_000
/** The copy's note of the cluster's epoch that it follows. */
const EPOCH_NOTE = 'epoch'
/** The same of a copy that is not whole: nobody who does not know of that takes it for a copy. */
const FILLING_NOTE = 'filling of epoch'
/** Looks for a revision that somebody else has seen already, so far apart. */
const [REACH_LOOKS, REACH_MS] = [20, 100]

export async function openCassandraStore(options: CassandraStoreOptions): Promise<CassandraStore> {
  return new Store(options)
}

class Store implements CassandraStore {
  readonly #options: CassandraStoreOptions
  readonly #copy: LocalCopy
  readonly #log: ClusterLog
  readonly #projection: ProjectionTables
  readonly #settleMs: number
  readonly #reads: ReadConsistency
  readonly #filler: Filler
  #epoch: Epoch | undefined
  #working: Promise<unknown> = Promise.resolve()
  readonly #projector: Projector
  hasHole = false
  readonly #open = new OpenOutcomes()
  readonly #beginning: Beginning
  #isClosed = false

  constructor(options: CassandraStoreOptions) {
    this.#options = options
    this.#copy = options.copy
    this.#log = new ClusterLog(options.port, options.commitConsistency)
    this.#beginning = new Beginning(this.#log, options.nodeId)
    this.#reads = options.readConsistency ?? 'LOCAL_QUORUM'
    this.#projection = new ProjectionTables({
      ...options,
      ...(options.isLater && { isNamed: options.isLater }),
      entriesOf: (change) => options.copy.entriesOf(change),
    })
    this.#projector = new Projector({
      projection: this.#projection,
      epoch: () => (this.#epoch && this.#follows(this.#epoch) ? this.#epoch : null),
      changes: (after, limit) => this.changes(after, limit),
      head: async () => (await this.#copy.head()).revision,
      rows: async () => (await this.#copy.stored()).rows,
    })
    this.#filler = new Filler({
      copy: options.copy,
      projection: this.#projection,
      epoch: () => (this.isLoaded ? Number(this.#followed()) : null),
      reach: (revision) => this.#reach(revision),
    })
    this.#settleMs = options.settleMs ?? SETTLE_MS
  }

  get isLoaded(): boolean {
    return this.#followed() !== null
  }

  /** The epoch that the copy follows. */
  #followed(): string | null {
    return this.#copy.note(this.#copy.filling ? FILLING_NOTE : EPOCH_NOTE)
  }

  #follow({ epoch }: Epoch): Promise<void> {
    return this.#copy.setNote(this.#copy.filling ? FILLING_NOTE : EPOCH_NOTE, String(epoch))
  }

  get owesState(): boolean {
    const epoch = this.#epoch
    return epoch?.madeBy === this.#options.nodeId && epoch.epoch !== this.#projector.writtenFor && this.#follows(epoch)
  }

  get epoch(): number {
    return this.#epoch?.epoch ?? 0
  }

  get followedEpoch(): number {
    return this.#isClosed ? 0 : Number(this.#followed())
  }

  // ---- reading: from the copy

  head(): Promise<Head> {
    return this.#copy.head()
  }

  get(kind: string, id: string): Promise<Row | undefined> {
    return this.#reader(kind).get(kind, id)
  }

  lookup(kind: string, field: string, value: unknown, workspace: string): Promise<Row | undefined> {
    return this.#reader(kind).lookup(kind, field, value, workspace)
  }

  list(kind: string, filter: Filter, page: Page): Promise<PageOfRows> {
    return this.#reader(kind).list(kind, filter, page)
  }

  #reader(kind: string): StateReader {
    return this.#filler.isMissing(kind) ? this.#filler : this.#copy
  }

  get filling(): FillProgress | null {
    return this.#filler.progress
  }

  async fillNext(): Promise<boolean> {
    // It is being loaded: which epoch it follows is noted at the end of that.
    if (!this.isLoaded) await this.#working
    if (await this.#filler.next()) return true
    await this.#exclusively(() => this.#finishFilling())
    return false
  }

  /** Nothing else is done to the copy between its being whole and its being known as such. */
  async #finishFilling(): Promise<void> {
    const followed = this.#followed()
    try {
      if (!this.#copy.filling || followed === null) return
      await this.#copy.filling.finish()
      await this.#copy.setNote(EPOCH_NOTE, followed)
    } catch (error) {
      if (!isCode(error, 'COPY_DIVERGED')) throw error
      await this.#refill(await this.#currentEpoch(), (error as Error).message)
    }
  }

  async #reach(revision: number): Promise<void> {
    for (let looks = 0; (await this.#copy.head()).revision < revision; looks++) {
      if (looks === REACH_LOOKS)
        throw new GatewayError('STORE_UNAVAILABLE', `revision ${revision} of the log can not be read yet`)
      if (looks > 0) await this.#options.delay(REACH_MS)
      await this.poll()
    }
  }

  /** From the copy, and for what it does not reach back to from the cluster, whose log is never cut. */
  async changes(after: number, limit: number): Promise<readonly LogEntry[]> {
    try {
      return await this.#copy.changes(after, limit)
    } catch (error) {
      if (!isCode(error, 'LOG_TRUNCATED')) throw error
      const epoch = await this.#currentEpoch()
      if (after < epoch.base.revision) throw error
      return (await this.#log.entriesAfter(epoch.epoch, after, limit, 'LOCAL_QUORUM')).entries
    }
  }

  async entry(revisionOrTxid: number | string): Promise<LogEntry | undefined> {
    const found = await this.#copy.entry(revisionOrTxid)
    if (found || typeof revisionOrTxid === 'string' || revisionOrTxid < 1) return found
    if (revisionOrTxid > (await this.head()).revision) return undefined
    return (await this.changes(revisionOrTxid - 1, 1))[0]
  }

  logStart(): Promise<number> {
    return this.#copy.logStart()
  }

  load(kinds: readonly string[]): ReturnType<ConfigStore['load']> {
    return this.#copy.load(kinds)
  }

  open(change: Change): Change {
    return this.#copy.open(change)
  }

  expired(atMs: number, limit: number) {
    return this.#copy.expired(atMs, limit)
  }

  /** Cuts the copy's log; the cluster's stays whole. */
  truncate(retention: Retention): Promise<number> {
    return this.#copy.truncate(retention)
  }

  watch(listener: () => void): () => void {
    return this.#copy.watch(listener)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#working
    await this.#projector.close()
    await this.#copy.close()
  }

  // ---- writing

  append(transaction: Transaction, expectedRevision: number): Promise<AppendResult> {
    return this.#exclusively(async () => {
      const result = await this.#append(transaction, expectedRevision)
      this.#open.answered(transaction.txid, result)
      return result
    })
  }

  async #append(transaction: Transaction, expectedRevision: number): Promise<AppendResult> {
    const prepared = await this.#copy.prepare(transaction, expectedRevision)
    const { nowMs } = this.#options
    const open = { outcome: 'open', txid: transaction.txid } as const
    // Unless the copy has it: what it is refused for now may be that it is done.
    if (prepared.outcome !== 'appended' && this.#open.isUnknowable(transaction.txid)) return open
    if (prepared.outcome !== 'prepared') return prepared
    const { entry } = prepared
    // One that is open may be done already: only its repetition tells.
    const reason = this.#open.has(entry.txid)
      ? null
      : this.#options.whoCannotRead?.(entry.effects.map(({ kind }) => kind))
    if (reason) throw new GatewayError('NODE_OLDER', reason)
    const deadlineMs = nowMs() + this.#settleMs
    for (let tries = 0; ; tries++) {
      try {
        const epoch = await this.#writableEpoch(entry)
        if (!epoch) {
          // The state that the new epoch begins with may have it: done again it would be done twice.
          return this.#open.isUnknowable(entry.txid)
            ? open
            : { outcome: 'conflict', head: (await this.#copy.head()).revision }
        }
        const slot = await this.#log.insert(epoch, entry)
        if (slot.isOurs) this.#options.onAppended?.(entry.revision)
        await this.#take(epoch, slot)
        if (slot.isOurs) return { outcome: 'appended', entry: slot.entry }
        return { outcome: 'conflict', head: (await this.#copy.head()).revision }
      } catch (error) {
        if (this.#open.isUnknowable(entry.txid)) return open
        if (!(error instanceof CassandraFailure)) throw error
        // Certainly not done, and nothing open from before: who asked may be told so.
        if (error.isSettled && !this.#open.has(entry.txid)) {
          throw new GatewayError('STORE_UNAVAILABLE', `Cassandra: ${error.message}`, { cause: error })
        }
        this.#open.add(entry)
        if (this.#isClosed || nowMs() >= deadlineMs) return open
        await this.#options.delay(this.#pauseMs(tries))
      }
    }
  }

  /** The slot after the head is decided: the copy takes over what stands there, or is loaded anew when that does not follow it. */
  async #take(epoch: Epoch, { entry }: Slot): Promise<void> {
    try {
      await this.#copy.adopt([entry])
    } catch (error) {
      if (!isCode(error, 'COPY_DIVERGED')) throw error
      await this.#refill(epoch, (error as Error).message, entry.revision)
    }
    this.#open.settle(entry.revision)
  }

  #pauseMs(tries: number): number {
    return Math.min(LONGEST_REPEAT_MS, FIRST_REPEAT_MS * 2 ** tries) * (0.5 + this.#options.random() / 2)
  }

  // ---- following

  poll(): Promise<void> {
    return this.#exclusively(() => this.#poll())
  }

  async #poll(): Promise<void> {
    const epoch = await this.#enteredEpoch()
    await this.#catchUp(epoch, this.#reads)
    // Others have gone on, of which nothing can be read here yet: this data center was cut off.
    if (await this.#repeatUnsettled(epoch)) await this.#catchUp(epoch, 'QUORUM')
  }

  /** Takes over what can be read in a row after the copy's head. */
  async #catchUp(epoch: Epoch, consistency: ReadConsistency): Promise<void> {
    const batch = consistency === 'QUORUM' ? MISSED_BATCH : BATCH
    for (let isAtEnd = false; !isAtEnd && !this.#isClosed;) {
      const head = await this.#copy.head()
      const { isSame, entries, isHole } = await this.#log.follow(epoch, head, batch, consistency)
      this.hasHole = isHole
      if (isSame === false) return this.#refill(epoch, `revision ${head.revision} is another one in the cluster`)
      try {
        if (entries.length > 0) await this.#copy.adopt(entries)
      } catch (error) {
        if (!isCode(error, 'COPY_DIVERGED')) throw error
        return this.#refill(epoch, (error as Error).message)
      }
      isAtEnd = entries.length < batch
    }
  }

  /** An outcome that was told to be open is found out as soon as that is possible. True when another's entry has its place. */
  async #repeatUnsettled(epoch: Epoch): Promise<boolean> {
    const { revision } = await this.#copy.head()
    this.#open.settle(revision)
    const { unsettled } = this.#open
    if (unsettled?.revision !== revision + 1) return false
    const slot = await this.#log.insert(epoch, unsettled)
    await this.#take(epoch, slot)
    return !slot.isOurs
  }

  lookForEpoch(): Promise<void> {
    return this.#exclusively(() => this.#lookForEpoch('LOCAL_QUORUM'))
  }

  async #lookForEpoch(consistency: ReadConsistency): Promise<void> {
    const latest = await this.#log.epoch(consistency)
    if (latest && latest.epoch > (this.#epoch?.epoch ?? 0)) this.#epoch = latest
    await this.#enteredEpoch()
  }

  settle(): Promise<void> {
    return this.#exclusively(async () => {
      await this.#lookForEpoch('SERIAL')
      const epoch = await this.#currentEpoch()
      // What this data center missed, a majority of all has: in one go, where serial reads find one entry at a time.
      await this.#catchUp(epoch, 'QUORUM')
      for (let entry: LogEntry | undefined; !this.#isClosed;) {
        entry = await this.#log.decided(epoch, (await this.#copy.head()).revision + 1)
        if (!entry) return
        await this.#take(epoch, { isOurs: false, entry })
      }
    })
  }

  /** The epoch that counts, after the copy stands in it. */
  async #enteredEpoch(): Promise<Epoch> {
    this.#epoch = await this.#beginning.settle(this.#epoch)
    const known = await this.#currentEpoch()
    if (this.#follows(known)) return known
    // The state of the known one may be lost, with the node that began it; who waits for it must hear of the one after it.
    const epoch = (this.#epoch = await this.#log.newestEpoch(known))
    const { revision, hash } = await this.#copy.head()
    this.#open.leaveEpoch()
    // Nothing of this epoch is projected as far as this node knows, though its base may have been in the one before.
    this.#projector.forget()
    // What is still missing in the copy is in the projection of the epoch before.
    if (this.isLoaded && !this.filling && revision === epoch.base.revision && hash === epoch.base.hash) {
      await this.#follow(epoch)
    } else {
      if (this.isLoaded)
        this.#options.log.warn(
          { epoch: epoch.epoch, base: epoch.base.revision, revision },
          'another epoch began elsewhere than where this copy stands, it is loaded anew',
        )
      await this.#fill(epoch, epoch.base.revision)
    }
    return epoch
  }

  #follows({ epoch }: Epoch): boolean {
    return this.#followed() === String(epoch)
  }

  async #refill(epoch: Epoch, reason: string, atLeast = 0): Promise<void> {
    this.#options.log.warn({ reason }, 'the copy of the configuration is not that of the cluster and is loaded anew')
    await this.#fill(epoch, Math.max(atLeast, (await this.#copy.head()).revision))
  }

  async #fill(epoch: Epoch, atLeast: number): Promise<void> {
    const { isLater, wholeRows } = this.#options
    const isFirst = !this.isLoaded
    const load = (consistency: ReadConsistency) =>
      loadCopy({
        log: this.#log,
        projection: this.#projection,
        copy: this.#copy,
        epoch,
        atLeast,
        consistency,
        // Whoever has a whole copy keeps one until there is another.
        ...(isFirst && consistency === 'LOCAL_QUORUM' && isLater && { isLater }),
        ...(wholeRows !== undefined && { wholeRows }),
        delay: this.#options.delay,
      })
    try {
      await load('LOCAL_QUORUM')
    } catch (error) {
      if (!isCode(error, 'COPY_DIVERGED') && !isCode(error, 'STORE_UNAVAILABLE')) throw error
      // The replicas here may lack what they should have, and rows of the log that reached a majority elsewhere, for good.
      this.#options.log.warn({ err: error }, 'this data center does not have the whole state, asking the others')
      await load('QUORUM')
    }
    this.#open.loseLog()
    await this.#follow(epoch)
  }

  beginEpoch(): Promise<number> {
    return this.#exclusively(async () => {
      if (!this.isLoaded || this.filling)
        throw new GatewayError('STORE_UNAVAILABLE', 'this node has no whole copy to begin an epoch with')
      try {
        const known = (this.#epoch = await this.#beginning.settle(this.#epoch))
        const number = Math.max(known?.epoch ?? 0, this.followedEpoch)
        const { isBegun, epoch } = await this.#beginning.begin(number, await this.#copy.head(), this.#options.nowMs())
        this.#epoch = epoch
        await this.#enteredEpoch()
        if (isBegun) return epoch.base.revision
        throw new GatewayError('STORE_UNAVAILABLE', `epoch ${epoch.epoch} began meanwhile, by node ${epoch.madeBy}`)
      } catch (error) {
        if (!(error instanceof CassandraFailure)) throw error
        throw new GatewayError('STORE_UNAVAILABLE', `Cassandra: ${error.message}`, { cause: error })
      }
    })
  }

  async #currentEpoch(): Promise<Epoch> {
    const { nodeId, nowMs } = this.#options
    this.#epoch ??=
      (await this.#log.epoch('LOCAL_QUORUM')) ??
      (await this.#log.beginEpoch({ ...FIRST_EPOCH, madeBy: nodeId }, nowMs())).epoch
    return this.#epoch
  }

  /**
   * The epoch as it is now: a node that has not seen yet that another began must not go on writing into the old one, whose entries
   * nobody follows any more. A read nearby is a small part of what an append costs. Undefined when the copy stands elsewhere now than
   * where the entry follows.
   */
  async #writableEpoch(entry: LogEntry): Promise<Epoch | undefined> {
    const known = await this.#currentEpoch()
    // A data center may lack the row for good; the others have it.
    const latest = (await this.#log.epoch('LOCAL_QUORUM')) ?? (await this.#log.epoch('QUORUM'))
    if (!latest)
      throw new CassandraFailure(
        'refused',
        `the cluster no longer knows epoch ${known.epoch}: it was lost or put back, see meridian epoch begin`,
        true,
      )
    if (latest.epoch > known.epoch) this.#epoch = latest
    const epoch = await this.#enteredEpoch()
    const { hash } = await this.#copy.head()
    return hash === entry.previousHash ? epoch : undefined
  }

  // ---- projecting
  get projected(): number {
    return this.#projector.projected
  }

  project(scope: ProjectionScope = 'own'): Promise<void> {
    return this.#projector.project(scope)
  }

  lookAtProjection(): Promise<void> {
    return this.#projector.look()
  }

  /** Appends, polls and loads one after the other: each begins where the one before has left the copy. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#working.then(work)
    // The next one starts after this one in any case; who asked for this one gets its failure.
    this.#working = result.catch(() => undefined)
    return result
  }
}

function isCode(error: unknown, code: string): boolean {
  return (error as { code?: unknown }).code === code
}
