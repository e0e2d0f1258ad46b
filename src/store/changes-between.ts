/**
 * What changed between two revisions, from the log alone: every effect carries what it replaced. The same fold gives the diff
 * that operators read and the transaction that brings an earlier state back.
 */
import { GatewayError } from '#core/errors.ts'
import type { Change, Document } from '#model/document.ts'
import type { ConfigStore } from './contract.ts'

/** An entity that differs between two revisions; null where it does not exist. Documents are opened. */
export interface Difference {
  readonly kind: string
  readonly workspace: string
  readonly id: string
  readonly from: Document | null
  readonly to: Document | null
}

/** Entries read at once. */
const BATCH = 200

/**
 * The entities that differ, in the order in which they were first touched. Fails with `LOG_TRUNCATED` when the log no longer
 * reaches back to `from`.
 */
export async function differencesBetween(store: ConfigStore, from: number, to: number): Promise<readonly Difference[]> {
  if (from > to) {
    const backwards = await differencesBetween(store, to, from)
    return backwards.map((difference) => ({ ...difference, from: difference.to, to: difference.from }))
  }
  const first = new Map<string, { change: Change; to: Document | null }>()
  for (let after = from; after < to;) {
    const entries = await store.changes(after, Math.min(BATCH, to - after))
    if (entries.length === 0)
      throw new GatewayError('LOG_TRUNCATED', `expected revision ${to} in the log, it ends at ${after}`)
    for (const entry of entries) {
      if (entry.revision > to) break
      for (const [index, effect] of entry.effects.entries()) {
        // An id that was deleted may come back in another workspace: that is another entity.
        const place = `${effect.kind}\0${effect.workspace}\0${effect.id}`
        const known = first.get(place)
        if (known) known.to = effect.document
        else first.set(place, { change: { ...effect, document: entry.before[index] ?? null }, to: effect.document })
      }
      after = entry.revision
    }
  }
  const opened = [...first.values()].map(({ change, to: after }) => ({
    kind: change.kind,
    workspace: change.workspace,
    id: change.id,
    from: store.open(change).document,
    to: store.open({ ...change, document: after }).document,
  }))
  return opened.filter(({ from: old, to: next }) => old !== null || next !== null)
}
