/**
 * Single rows that are taken over into a copy that is filled. A transaction of the copy costs the same whether one row is in it or
 * hundreds, so those that come while one is under way go together in the next.
 */
import type { StoredRow } from '../digest.ts'
import type { Filling } from '../filling.ts'

interface Waiting {
  readonly row: StoredRow
  readonly settle: (failure: Error | null) => void
}

/** Rows of one transaction at most: what else the copy has to take over waits so long. */
const ROWS_AT_ONCE = 500

export class RowGatherer {
  readonly #filling: () => Filling | null
  #waiting: Waiting[] = []
  #isWriting = false

  constructor(filling: () => Filling | null) {
    this.#filling = filling
  }

  /** Resolves when the row is in the copy, or an entry that is newer has said what becomes of it. */
  add(row: StoredRow): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (failure: Error | null) => (failure === null ? resolve() : reject(failure))
      this.#waiting.push({ row, settle })
      if (!this.#isWriting) void this.#write()
    })
  }

  async #write(): Promise<void> {
    this.#isWriting = true
    while (this.#waiting.length > 0) {
      const some = this.#waiting.splice(0, ROWS_AT_ONCE)
      for (const [kind, ofKind] of Map.groupBy(some, ({ row }) => row.kind)) {
        const failure = await this.#fill(
          kind,
          ofKind.map(({ row }) => row),
        )
        for (const { settle } of ofKind) settle(failure)
      }
    }
    this.#isWriting = false
  }

  async #fill(kind: string, rows: readonly StoredRow[]): Promise<Error | null> {
    try {
      await this.#filling()?.fill(kind, rows, null)
      return null
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }
}
