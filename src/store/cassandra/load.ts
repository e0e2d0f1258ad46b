/** Fills a copy from the cluster: the projection at this data center's watermark, and the entries from there on. */
import { GatewayError } from '#core/errors.ts'
import type { Head, LogEntry } from '../contract.ts'
import type { StoredRow } from '../digest.ts'
import type { LocalCopy } from '../local-copy.ts'
import type { ClusterLog, Epoch } from './cluster-log.ts'
import type { ReadConsistency } from './port.ts'
import type { ProjectionTables, Watermark } from './projection-tables.ts'

export interface LoadOptions {
  readonly log: ClusterLog
  readonly projection: ProjectionTables
  readonly copy: LocalCopy
  readonly epoch: Epoch
  /** A node never goes back: the state has to reach at least this revision. */
  readonly atLeast: number
  /** LOCAL_QUORUM, or QUORUM for the try after one whose rows were not those of the digests. */
  readonly consistency: ReadConsistency
  /** Whether rows of the kind come later: the copy is then being filled. */
  readonly isLater?: (kind: string) => boolean
  readonly delay: (ms: number) => Promise<void>
}

const BATCH = 200
/** A row may be there before this data center has the log's row that wrote it: so many looks, so far apart. */
const LOOKS = 50
const LOOK_MS = 100

/**
 * Puts the cluster's state in place of the copy's. While it reads, others write: a row may be newer than the watermark, so the log
 * is replayed at least to the newest row that was seen, and the digests are compared there. Rejects with `COPY_DIVERGED`.
 */
export async function loadCopy(options: LoadOptions): Promise<Head> {
  const { projection, epoch } = options
  const mark = await projection.watermark(epoch.epoch)
  if (mark || epoch.base.revision === 0) return loadFrom(options, mark)
  // No node here stood where the epoch began; what another data center has written for its beginning, all of them together have.
  const base = await projection.base(epoch.epoch)
  // Not by parts: what is read here alone would lack rows.
  if (base) return loadFrom({ ...options, consistency: 'EACH_QUORUM', isLater: () => false }, base)
  throw new GatewayError('STORE_UNAVAILABLE', `the state that epoch ${epoch.epoch} begins with is not written yet`)
}

async function loadFrom(options: LoadOptions, mark: Watermark | undefined): Promise<Head> {
  const { log, copy, epoch, atLeast, consistency, isLater = () => false } = options
  const checkpoint = mark ? await log.headAt(epoch, mark.revision, consistency) : epoch.base
  if (!checkpoint || (mark && checkpoint.hash !== mark.hash))
    throw new GatewayError('STORE_UNAVAILABLE', `revision ${mark?.revision} of the log can not be read yet`)
  const seen = { newest: Math.max(checkpoint.revision, atLeast) }
  const kinds = mark ? Object.keys(checkpoint.digests) : []
  return copy.replace(
    {
      checkpoint,
      rows: liveRows(
        options,
        kinds.filter((kind) => !isLater(kind)),
        seen,
      ),
      entries: entriesFrom(options, checkpoint, seen),
    },
    kinds.filter(isLater),
  )
}

async function* liveRows(
  { projection, epoch, consistency }: LoadOptions,
  kinds: readonly string[],
  seen: { newest: number },
): AsyncIterable<StoredRow> {
  for await (const { sealed, ...row } of projection.rows(epoch.epoch, kinds, consistency)) {
    seen.newest = Math.max(seen.newest, row.revision)
    if (sealed !== null) yield { ...row, sealed }
  }
}

async function* entriesFrom(
  { log, epoch, consistency, delay }: LoadOptions,
  checkpoint: Head,
  seen: { readonly newest: number },
): AsyncIterable<LogEntry> {
  let { revision } = checkpoint
  for (let looks = 0; ;) {
    const { entries } = await log.entriesAfter(epoch.epoch, revision, BATCH, consistency)
    for (const entry of entries) {
      yield entry
      ;({ revision } = entry)
    }
    if (entries.length > 0) continue
    if (revision >= seen.newest) return
    if (++looks > LOOKS)
      throw new GatewayError(
        'STORE_UNAVAILABLE',
        `expected the log to reach revision ${seen.newest}, it can be read to ${revision} only`,
      )
    await delay(LOOK_MS)
  }
}
