/** A whole state put into the embedded store's file. Everything here is part of a transaction that its caller has begun. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { GatewayError } from '#core/errors.ts'
import { Turns } from '#core/turns.ts'
import type { Document } from '#model/document.ts'
import { canonicalJson } from './canonical.ts'
import type { Head, LogEntry } from './contract.ts'
import { DigestSum } from './digest.ts'
import { headAfter } from './entry.ts'
import { digestsOf } from './filling.ts'
import type { CopiedState } from './local-copy.ts'
import type { Secrets } from './secrets.ts'
import type { SqliteFilling } from './sqlite-filling.ts'
import type { SqliteRows } from './sqlite-rows.ts'
import type { SqliteTables } from './sqlite-tables.ts'

/** The file as its transaction sees it. */
export interface WrittenFile {
  readonly rows: SqliteRows
  readonly tables: SqliteTables
  readonly secrets: Secrets
}

/** Rows between two turns of the event loop: about 5 ms. */
const ROWS_PER_TURN = 500

/**
 * Puts the state into tables that are empty and answers the head that its entries lead to. Rejects with `COPY_DIVERGED` when the
 * rows are not those of that head's digests. `filling` counts the kinds whose rows come later.
 */
export async function takeState(file: WrittenFile, state: CopiedState, filling: SqliteFilling | null): Promise<Head> {
  const { checkpoint, rows, entries } = state
  const { tables, secrets } = file
  const sum = new DigestSum()
  // Rows of one moment do not contradict each other. Of a kind with newer ones, what follows from them is made when all are there.
  const mixed = new Set<string>()
  const turns = new Turns(ROWS_PER_TURN)
  for await (const row of rows) {
    const document = secrets.open(row.kind, JSON.parse(row.sealed) as Document)
    tables.putRow(row, document)
    if (row.revision > checkpoint.revision) mixed.add(row.kind)
    else if (!mixed.has(row.kind)) {
      tables.derive(row.kind, row.workspace, document)
      sum.add(row)
    }
    await turns.step()
  }
  let last: Head = checkpoint
  for await (const entry of entries) {
    last = replay(file, last, entry)
    filling?.noteGone(entry)
    for (const { kind } of entry.effects) mixed.add(kind)
  }
  for (const kind of mixed) {
    sum.forget(kind)
    await deriveAnew(file, kind)
    const kindSum = filling?.kinds.has(kind) ? filling.digests : sum
    for (const row of file.rows.allStored(kind)) {
      kindSum.add(row)
      await turns.step()
    }
  }
  if (!sum.equals(digestsOf(last.digests, filling?.kinds ?? new Set(), false)))
    throw new GatewayError(
      'COPY_DIVERGED',
      `revision ${last.revision}: the rows that were read are not those of its digests`,
    )
  return last
}

/** Makes what follows from a kind's rows anew. */
export async function deriveAnew({ rows, tables }: WrittenFile, kind: string): Promise<void> {
  tables.clearDerived(kind)
  let offset: string | undefined
  do {
    const page = rows.list(kind, {}, { size: ROWS_PER_TURN, ...(offset === undefined ? {} : { offset }) }, -Infinity)
    for (const { workspace, document } of page.rows) tables.derive(kind, workspace, document)
    offset = page.offset
    await nextTurn()
  } while (offset !== undefined)
}

/** Applies an entry to rows that may be newer than it; those stay. */
function replay({ rows, tables, secrets }: WrittenFile, before: Head, entry: LogEntry): Head {
  const head = headAfter(before, entry)
  tables.addDecided(entry)
  for (const { kind, workspace, id, document } of entry.effects) {
    const stored = rows.stored(kind, id)
    if (stored && stored.revision >= entry.revision) continue
    if (document) {
      const row = { kind, workspace, id, revision: entry.revision, sealed: canonicalJson(document) }
      tables.putRow(row, secrets.open(kind, document))
    } else if (stored?.workspace === workspace) tables.deleteRow(kind, id)
  }
  return head
}
