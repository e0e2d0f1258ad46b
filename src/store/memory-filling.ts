/** The filling of a copy in memory. */
import { GatewayError } from '#core/errors.ts'
import type { Head, LogEntry, StateReader } from './contract.ts'
import { canonicalJson } from './canonical.ts'
import { DigestSum, type StoredRow } from './digest.ts'
import type { Unfilled } from './entry.ts'
import { digestsOf, partName, type Filling } from './filling.ts'

/** What it is done to. */
export interface FilledMemory {
  readonly partial: StateReader
  readonly head: () => Head
  readonly has: (kind: string, id: string) => boolean
  readonly put: (row: StoredRow) => void
  readonly end: () => void
  readonly exclusively: (work: () => Promise<void>) => Promise<void>
}

export class MemoryFilling implements Filling, Unfilled {
  readonly kinds: ReadonlySet<string>
  digests = new DigestSum()
  rows = 0
  readonly #memory: FilledMemory
  readonly #done = new Set<string>()
  /** The revision of the last deletion, by `kind id`. */
  #gone = new Map<string, number>()

  constructor(kinds: ReadonlySet<string>, memory: FilledMemory) {
    this.kinds = kinds
    this.#memory = memory
  }

  get done(): number {
    return this.#done.size
  }

  get partial(): StateReader {
    return this.#memory.partial
  }

  /** What takes back the changes that entries make from now on. */
  savepoint(): () => void {
    const [digests, gone] = [this.digests.digests(), new Map(this.#gone)]
    return () => {
      this.digests = new DigestSum(digests)
      this.#gone = gone
    }
  }

  /** A row that is read later than this entry was applied must not come back. */
  noteGone({ revision, effects }: LogEntry): void {
    for (const { kind, id, document } of effects)
      if (document === null && this.kinds.has(kind)) this.#gone.set(`${kind} ${id}`, revision)
  }

  isDone(kind: string, part: number): boolean {
    return this.#done.has(partName(kind, part))
  }

  fill(kind: string, rows: readonly StoredRow[], whole: number | null): Promise<void> {
    return this.#memory.exclusively(async () => {
      for (const row of rows) {
        if (this.#memory.has(kind, row.id) || (this.#gone.get(`${kind} ${row.id}`) ?? 0) >= row.revision) continue
        this.#memory.put(row)
        this.digests.add(row)
        this.rows++
      }
      if (whole !== null) this.#done.add(partName(kind, whole))
    })
  }

  finish(): Promise<void> {
    return this.#memory.exclusively(async () => {
      const { revision, digests } = this.#memory.head()
      if (canonicalJson(this.digests.digests()) !== canonicalJson(digestsOf(digests, this.kinds, true)))
        throw new GatewayError(
          'COPY_DIVERGED',
          `revision ${revision}: the rows that were filled are not those of its digests`,
        )
      this.#memory.end()
    })
  }
}
