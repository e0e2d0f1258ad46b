/**
 * A copy that is filled while it is already used: of some kinds it holds only a part of the rows, each of them as it is at the head,
 * and says so until it holds all. Entries are applied as to a whole copy, so a row that is read elsewhere later than they were is
 * taken over only where no entry has changed or deleted it.
 */
import { createHash } from 'node:crypto'
import { GatewayError } from '#core/errors.ts'
import type { Change } from '#model/document.ts'
import type { StateReader } from './contract.ts'
import type { Digests, StoredRow } from './digest.ts'
import type { Projection } from './projection.ts'
import { keyText, referenceKey } from './running-state.ts'

/** What of a filling is kept on the disk. */
export interface FillingRecord {
  readonly kinds: readonly string[]
  /** `kind part`, of what is filled. */
  readonly done: readonly string[]
  readonly rows: number
  /** Of the rows of these kinds that are there. */
  readonly digests: Digests
}

export interface Filling {
  readonly kinds: ReadonlySet<string>
  readonly done: number
  /** Rows of these kinds that are there. */
  readonly rows: number
  isDone(kind: string, part: number): boolean
  /** What is there. What it lacks may be elsewhere, unless that part is done. */
  readonly partial: StateReader
  /** Takes over rows that were read elsewhere, none of which is newer than the head. `whole`: the part of which no row lacks now. */
  fill(kind: string, rows: readonly StoredRow[], whole: number | null): Promise<void>
  /** All parts are done. Rejects with `COPY_DIVERGED` when the rows are not those of the head's digests; then they are still not whole. */
  finish(): Promise<void>
}

export function partName(kind: string, part: number): string {
  return `${kind} ${part}`
}

/** What asks for all rows of a kind can't be answered yet. */
export function notWhole(kind: string): GatewayError {
  return new GatewayError(
    'STORE_UNAVAILABLE',
    `this node has just started and still copies the configuration (${kind}); ask again soon, or another node`,
  )
}

/** The digests of the kinds that are (`isIn`) or are not among these. */
export function digestsOf(digests: Digests, kinds: ReadonlySet<string>, isIn: boolean): Digests {
  return Object.fromEntries(Object.entries(digests).filter(([kind]) => kinds.has(kind) === isIn))
}

/**
 * The names under which a row is found without its id: one for each unique key and each reference. Hashed: they are of one length,
 * and say nothing of what somebody is called.
 */
export function entriesOf(projection: Projection, { kind, workspace, document }: Change): readonly string[] {
  if (document === null || !projection.knows(kind)) return []
  return [
    ...projection.uniqueKeys(kind, workspace, document).map((key) => hashed(`unique\0${keyText(key)}`)),
    ...projection.references(kind, document).map(({ rule, id }) => referenceEntry(kind, rule.field, id)),
  ]
}

/** Undefined when no row can have that value. */
export function uniqueEntry(
  projection: Projection,
  kind: string,
  field: string,
  value: unknown,
  workspace: string,
): string | undefined {
  const key = projection.lookupKey(kind, field, value, workspace)
  return key && hashed(`unique\0${keyText(key)}`)
}

export function referenceEntry(kind: string, field: string, id: string): string {
  return hashed(`reference\0${referenceKey(kind, field, id)}`)
}

function hashed(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
