/** An entry of the log as rows of Cassandra, and back. Large effects go beside the row, in parts named by their hash. */
import { createHash } from 'node:crypto'
import { GatewayError } from '#core/errors.ts'
import type { Change, Document } from '#model/document.ts'
import { canonicalJson } from '../canonical.ts'
import { ENTRY_FORMATS } from '../cluster-view.ts'
import type { LogEntry, PayloadDigests } from '../contract.ts'
import type { TableRow } from './port.ts'
import { SEGMENT_REVISIONS } from './tables.ts'

/** Effects up to this length stand in the log's row: the whole row goes through Paxos, on every replica, more than once. */
const INLINE_CHARS = 16 * 1024
const PART_CHARS = 128 * 1024

export interface Part {
  readonly hash: string
  readonly content: string
}

/** One effect as it is stored: place, document, what it replaced, and the digests of both. */
type EffectText = readonly [
  kind: string,
  workspace: string,
  id: string,
  document: Document | null,
  before: Document | null,
  after: string | null,
  replaced: string | null,
]

export function rowOfEntry(
  epoch: number,
  entry: LogEntry,
): { readonly row: TableRow; readonly parts: readonly Part[] } {
  const { effects, before, payloads, ...said } = entry
  const texts = effects.map(({ kind, workspace, id, document }, index): EffectText => {
    const digests = payloads[index]
    return [kind, workspace, id, document, before[index] ?? null, digests?.after ?? null, digests?.before ?? null]
  })
  const text = canonicalJson(texts)
  const parts = text.length <= INLINE_CHARS ? [] : split(text)
  const row = {
    epoch,
    segment: segmentOf(entry.revision),
    revision: entry.revision,
    txid: entry.txid,
    entry: canonicalJson(said),
    effects: parts.length === 0 ? text : null,
    chunks: parts.length === 0 ? null : JSON.stringify(parts.map(({ hash }) => hash)),
  }
  return { row, parts }
}

/** The hashes of the parts that a row's effects are in; none when they stand in the row. */
export function partsOfRow({ chunks }: TableRow): readonly string[] {
  return typeof chunks === 'string' ? (JSON.parse(chunks) as string[]) : []
}

/** Whether this version can read the row's entry. */
export function isReadable(row: TableRow): boolean {
  return ENTRY_FORMATS.includes(formatOf(row))
}

function formatOf(row: TableRow): number {
  return (JSON.parse(row.entry as string) as { readonly format?: number }).format ?? 1
}

/** `parts`: the contents of the row's parts in order. Throws SCHEMA_NEWER for an entry in a form that this version does not read. */
export function entryOfRow(row: TableRow, parts: readonly string[]): LogEntry {
  if (!isReadable(row))
    throw new GatewayError(
      'SCHEMA_NEWER',
      `revision ${row.revision} of the log is in format ${formatOf(row)}, which a newer version wrote; this one reads ${ENTRY_FORMATS.join(', ')}`,
    )
  const text = typeof row.effects === 'string' ? row.effects : parts.join('')
  const effects: Change[] = []
  const before: (Document | null)[] = []
  const payloads: PayloadDigests[] = []
  for (const [kind, workspace, id, document, replaced, after, previous] of JSON.parse(text) as EffectText[]) {
    effects.push({ kind, workspace, id, document })
    before.push(replaced)
    payloads.push({ after, before: previous })
  }
  const said = JSON.parse(row.entry as string) as Omit<LogEntry, 'effects' | 'before' | 'payloads'>
  return { ...said, effects, before, payloads }
}

export function segmentOf(revision: number): number {
  return Math.floor(revision / SEGMENT_REVISIONS)
}

function split(text: string): readonly Part[] {
  const parts: Part[] = []
  for (let start = 0; start < text.length;) {
    let end = Math.min(text.length, start + PART_CHARS)
    // Never between the two halves of a character beyond the BMP: each part is text by itself.
    const last = text.charCodeAt(end - 1)
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end--
    const content = text.slice(start, end)
    parts.push({ hash: createHash('sha256').update(content).digest('hex'), content })
    start = end
  }
  return parts
}
