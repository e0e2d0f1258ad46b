/**
 * Transactions whose outcome this node did not hear: what may be said of them, and what must not be done again. The copy's log tells
 * the outcome of each that it holds; a copy that is put in place of it does not.
 */
import type { AppendResult, LogEntry } from '../contract.ts'

/** Open outcomes that nobody has asked about again; beyond these the oldest is forgotten. */
const TOLD_MAX = 100_000

export class OpenOutcomes {
  /** The last entry whose insert had no answer: to be repeated until its slot is known to be taken. */
  unsettled: LogEntry | null = null
  /** The slots of all whose insert had no answer: while such a slot is free, none of them can be told not to be done. */
  readonly #slots = new Map<string, number>()
  /** Told to be open, and not asked about since. */
  readonly #told = new Set<string>()
  /** The log that would tell is gone: nobody here can say any more whether they are done. */
  readonly #unknowable = new Set<string>()

  has(txid: string): boolean {
    return this.#slots.has(txid)
  }

  isUnknowable(txid: string): boolean {
    return this.#unknowable.has(txid)
  }

  /** The insert of an entry had no answer. */
  add(entry: LogEntry): void {
    this.unsettled = entry
    this.#slots.set(entry.txid, entry.revision)
  }

  /** The slots up to this revision are taken, and the copy's log has what is in them. */
  settle(headRevision: number): void {
    if (this.unsettled && this.unsettled.revision <= headRevision) this.unsettled = null
    for (const [txid, revision] of this.#slots) if (revision <= headRevision) this.#slots.delete(txid)
  }

  /** Another epoch began: its log does not tell what became of those that wait for a slot of the one before. */
  leaveEpoch(): void {
    this.unsettled = null
    for (const txid of this.#slots.keys()) this.#unknowable.add(txid)
    this.#slots.clear()
  }

  /** The copy was loaded anew, without the log that it had: of nothing that was told to be open it can say whether it is in the state. */
  loseLog(): void {
    for (const txid of this.#slots.keys()) this.#unknowable.add(txid)
    for (const txid of this.#told) this.#unknowable.add(txid)
  }

  /** What is answered about a transaction. */
  answered(txid: string, { outcome }: AppendResult): void {
    this.#told.delete(txid)
    if (outcome !== 'open') return
    this.#told.add(txid)
    if (this.#told.size > TOLD_MAX) this.#told.delete(this.#told.values().next().value!)
  }
}
