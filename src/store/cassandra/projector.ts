/** Brings the projection up to date with what a node knows of the log. */
import type { LogEntry } from '../contract.ts'
import type { StoredRow } from '../digest.ts'
import type { Epoch } from './cluster-log.ts'
import type { ProjectionScope, ProjectionTables } from './projection-tables.ts'

export interface ProjectorOptions {
  readonly projection: ProjectionTables
  /** The one that counts, while the copy follows it. */
  readonly epoch: () => Epoch | null
  /** Entries after a revision, in order. */
  readonly changes: (after: number, limit: number) => Promise<readonly LogEntry[]>
  /** The last revision of the copy. */
  readonly head: () => Promise<number>
  /** Every row of the copy. */
  readonly rows: () => Promise<AsyncIterable<StoredRow>>
}

/** Entries between two watermarks. */
const BATCH = 100

export class Projector {
  readonly #options: ProjectorOptions
  #projecting: Promise<void> | null = null
  #isClosed = false
  /** The last revision that the projection of this data center is known to hold. */
  projected = 0
  /** The epoch whose first state is known to be written. */
  writtenFor = 0

  constructor(options: ProjectorOptions) {
    this.#options = options
  }

  /** Another epoch has begun: nothing of it is projected as far as this node knows. */
  forget(): void {
    this.projected = 0
  }

  /** Who asks while it is done waits for that one. */
  project(scope: ProjectionScope): Promise<void> {
    this.#projecting ??= this.#project(scope).finally(() => {
      this.#projecting = null
    })
    return this.#projecting
  }

  /** Reads how far another node has come. */
  async look(): Promise<void> {
    const epoch = this.#options.epoch()
    const mark = epoch && (await this.#options.projection.watermark(epoch.epoch))
    if (mark && !this.#isOver(epoch)) this.projected = Math.max(this.projected, mark.revision)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#projecting
  }

  /**
   * The epoch is fixed for the pass, which has it in the keys of all that it writes and ends when another began: what the copy holds
   * from then on is of that one. Fixed is its end as well: what is appended meanwhile waits for the next pass, where more of it goes
   * into the same writes.
   */
  async #project(scope: ProjectionScope): Promise<void> {
    const { projection, changes, head } = this.#options
    const epoch = this.#options.epoch()
    if (!epoch) return
    const own = await projection.watermark(epoch.epoch)
    if (this.#isOver(epoch)) return
    this.projected = own?.revision ?? epoch.base.revision
    if (!own && epoch.base.revision > 0) {
      // The entries after the base follow below: among them those that deleted what this state, which may be later, lacks.
      await projection.projectState(epoch.epoch, this.#stateOf(epoch))
      if (this.#isOver(epoch)) return
      await projection.markBase(epoch.epoch, epoch.base)
    }
    this.writtenFor = epoch.epoch
    const lowest = scope === 'all' ? await projection.watermark(epoch.epoch, 'all') : undefined
    // The state at the base is not in the log: each data center writes that for itself.
    const isForAll = scope === 'all' && (lowest !== undefined || epoch.base.revision === 0)
    let revision = isForAll ? (lowest?.revision ?? 0) : this.projected
    const end = await head()
    while (revision < end && !this.#isClosed && !this.#isOver(epoch)) {
      const entries = await changes(revision, BATCH)
      const last = entries.at(-1)
      // What the copy answered after another epoch began may be of that one.
      if (!last || this.#isOver(epoch)) return
      await projection.project(epoch.epoch, entries, isForAll ? 'all' : 'own')
      revision = last.revision
      if (!this.#isOver(epoch)) this.projected = Math.max(this.projected, revision)
    }
  }

  /** The rows of the copy as long as they are of the epoch; none when another began before they could be read. */
  async *#stateOf(epoch: Epoch): AsyncIterable<StoredRow> {
    for await (const row of await this.#options.rows()) {
      if (this.#isOver(epoch)) return
      yield row
    }
  }

  #isOver(epoch: Epoch): boolean {
    return epoch !== this.#options.epoch()
  }
}
