/**
 * Ways to break each promise in a history that kept it, in what was recorded only: by them a history proves that the promise would
 * not have been broken unseen. Undefined where nothing was recorded that could be broken so.
 */
import { PROMISES, type Entry, type HistoryRecord } from './history-check.ts'

export interface Tampering {
  readonly promise: (typeof PROMISES)[keyof typeof PROMISES]
  readonly tamper: (record: HistoryRecord) => HistoryRecord | undefined
}

export const TAMPERINGS: readonly Tampering[] = [
  {
    promise: PROMISES.kept,
    tamper: (record) => {
      const lost = record.writes.findLast(({ outcome }) => outcome === 'acknowledged')
      return lost && { ...record, entries: without(record.entries, lost.revision) }
    },
  },
  {
    promise: PROMISES.once,
    tamper: (record) => {
      const twice = record.writes.findLast(({ outcome }) => outcome === 'acknowledged')
      const entry = record.entries.find(({ revision }) => revision === twice?.revision)
      return entry && { ...record, entries: appended(record.entries, entry) }
    },
  },
  {
    promise: PROMISES.refused,
    tamper: (record) => {
      const index = record.writes.findLastIndex(({ outcome }) => outcome === 'acknowledged')
      const applied = record.writes[index]
      if (!applied) return undefined
      const refused = { ...applied, outcome: 'refused', status: 503, txid: null, revision: null } as const
      return { ...record, writes: record.writes.with(index, refused) }
    },
  },
  {
    promise: PROMISES.forward,
    tamper: (record) => {
      const last = record.sights.at(-1)
      const earlier = record.entries.findLast(({ revision }) => last !== undefined && revision < last.revision)
      if (!last || !earlier) return undefined
      return { ...record, sights: [...record.sights, { ...last, revision: earlier.revision, hash: earlier.hash }] }
    },
  },
  {
    promise: PROMISES.equal,
    tamper: (record) => {
      const last = record.sights.at(-1)
      return last && { ...record, sights: [...record.sights.slice(0, -1), { ...last, hash: reversed(last.hash) }] }
    },
  },
  {
    promise: PROMISES.fresh,
    tamper: (record) => {
      // One during which the entity changed may answer either.
      const index = record.lookups.findIndex(({ kind, id, from, to }) => !isChangedBetween(record, kind, id, from, to))
      const lookup = record.lookups[index]
      return lookup && { ...record, lookups: record.lookups.with(index, { ...lookup, isFound: !lookup.isFound }) }
    },
  },
  {
    promise: PROMISES.chain,
    tamper: (record) => {
      const last = record.entries.at(-1)
      if (record.entries.length < 2 || !last) return undefined
      const previous_hash = reversed(last.previous_hash)
      return { ...record, entries: [...record.entries.slice(0, -1), { ...last, previous_hash }] }
    },
  },
]

/** Without the changes of one entry, as if another transaction stood there: the chain stays whole. */
function without(entries: readonly Entry[], revision: number | null): readonly Entry[] {
  return entries.map((entry) => {
    if (entry.revision !== revision) return entry
    const { previous_hash, hash } = entry
    return { revision: entry.revision, txid: 'another', previous_hash, hash, changes: [] }
  })
}

function appended(entries: readonly Entry[], entry: Entry): readonly Entry[] {
  const last = entries.at(-1)!
  const again = { ...entry, revision: last.revision + 1, previous_hash: last.hash, hash: reversed(last.hash) }
  return [...entries, again]
}

function isChangedBetween({ entries }: HistoryRecord, kind: string, id: string, from: number, to: number): boolean {
  return entries.some(
    ({ revision, changes }) =>
      revision > from && revision <= to && changes.some((change) => change.kind === kind && change.id === id),
  )
}

/** Another hash, of the same form. */
function reversed(hash: string): string {
  const other = hash.slice(1) + hash.slice(0, 1)
  return other === hash ? 'f'.repeat(hash.length) : other
}
