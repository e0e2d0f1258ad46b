/** From a transaction to the entry that it would be on top of a store's state: what appends and copies have in common. */
import type { Row } from '#model/document.ts'
import type { AppendResult, Filter, Head, LogEntry, Page, PageOfRows, StateReader, Transaction } from './contract.ts'
import type { StoredRow } from './digest.ts'
import { computeEffects } from './effects.ts'
import { sealEntry } from './entry.ts'
import type { Prepared } from './local-copy.ts'
import type { Projection } from './projection.ts'
import type { Secrets } from './secrets.ts'

/** How a store is asked; nothing of it writes. */
export interface PreparingStore {
  readonly projection: Projection
  readonly secrets: Secrets
  head(): Head
  /** The entry of a transaction that is in the log already. */
  done(txid: string): LogEntry | undefined
  rows(): TimedRows
}

/** Rows as they are at a moment; `nowMs` -Infinity shows also those whose time to live is over. */
export interface TimedRows {
  get(kind: string, id: string, nowMs: number): Row | undefined
  lookup(kind: string, field: string, value: unknown, workspace: string, nowMs: number): Row | undefined
  list(kind: string, filter: Filter, page: Page, nowMs: number): PageOfRows
  stored(kind: string, id: string): StoredRow | undefined
}

export async function prepareEntry(
  store: PreparingStore,
  transaction: Transaction,
  expectedRevision: number,
): Promise<Prepared> {
  const done = store.done(transaction.txid)
  if (done) return { outcome: 'appended', entry: done }
  const head = store.head()
  const conflict = (): AppendResult => ({ outcome: 'conflict', head: store.head().revision })
  if (head.revision !== expectedRevision) return conflict()
  const { projection, secrets } = store
  const rows = store.rows()
  const computed = await computeEffects(everything(rows), projection, transaction, head.revision + 1)
  const sealed = computed.ok
    ? await sealEntry(head, transaction, computed.effects, secrets, (kind, id) => rows.stored(kind, id))
    : computed
  // What was read is the state at the expected revision only if that is still the head.
  if (store.head().revision !== expectedRevision) return conflict()
  if (!sealed.ok) return { outcome: 'refused', violation: sealed.violation }
  return { outcome: 'prepared', entry: sealed.entry, effects: sealed.effects }
}

/** Validation has to see rows whose time to live is over, too: one may be in the way of a new entity. */
function everything(rows: TimedRows): StateReader {
  return {
    get: async (kind, id) => rows.get(kind, id, -Infinity),
    lookup: async (kind, field, value, workspace) => rows.lookup(kind, field, value, workspace, -Infinity),
    list: async (kind, filter, page) => rows.list(kind, filter, page, -Infinity),
  }
}
