/**
 * The judge of a history: what clients and nodes were told, against the log that the cluster ended with. Each broken promise is
 * named, and nothing else is read than what was recorded.
 */

/** What is proven, by the names that problems begin with. */
export const PROMISES = {
  chain: 'the log is one chain',
  kept: 'nothing acknowledged is lost',
  once: 'nothing is done twice',
  refused: 'nothing refused is applied',
  forward: 'revisions never go back',
  /** The hash of an entry covers the digests of the whole state after it. */
  equal: 'equal digests at equal revisions',
  fresh: 'no look-up is older than its revision',
} as const

/** What a write does, as the log shows it. An open write is found in the log by it, so each is to be used by one open write only. */
export interface Effect {
  readonly action: 'create' | 'update' | 'delete'
  readonly kind: string
  readonly id: string
}

export type Outcome = 'acknowledged' | 'refused' | 'open'

export interface Write {
  readonly node: string
  readonly effect: Effect
  readonly outcome: Outcome
  /** Null without an answer. */
  readonly status: number | null
  readonly txid: string | null
  readonly revision: number | null
}

export interface Sight {
  readonly node: string
  readonly revision: number
  readonly hash: string
}

export interface Lookup {
  readonly node: string
  readonly kind: string
  readonly id: string
  readonly isFound: boolean
  /** Served on the node before the question was sent, and known to it after the answer had come. */
  readonly from: number
  readonly to: number
}

export interface Entry {
  readonly revision: number
  readonly txid: string
  readonly hash: string
  readonly previous_hash: string
  readonly members?: readonly { readonly txid: string }[]
  readonly changes: readonly Effect[]
}

/** Everything that was recorded, and the log, oldest first. */
export interface HistoryRecord {
  readonly writes: readonly Write[]
  readonly sights: readonly Sight[]
  readonly lookups: readonly Lookup[]
  readonly entries: readonly Entry[]
}

/** Empty when every promise was kept. */
export function brokenPromises({ writes, sights, lookups, entries }: HistoryRecord): readonly string[] {
  return [
    ...chainProblems(entries),
    ...writeProblems(writes, entries),
    ...sightProblems(sights, entries),
    ...lookupProblems(lookups, entries),
  ]
}

function chainProblems(entries: readonly Entry[]): string[] {
  return entries.flatMap(({ revision, previous_hash }, index) => {
    const before = entries[index - 1]
    const isNext = before === undefined || (before.revision + 1 === revision && before.hash === previous_hash)
    return isNext ? [] : [`${PROMISES.chain}: revision ${revision} does not follow the entry before it`]
  })
}

const keyOf = ({ action, kind, id }: Effect) => `${action} ${kind} ${id}`

function writeProblems(writes: readonly Write[], entries: readonly Entry[]): string[] {
  const problems: string[] = []
  const byTxid = new Map<string, Entry[]>()
  for (const entry of entries)
    for (const txid of entry.members?.map((member) => member.txid) ?? [entry.txid])
      byTxid.set(txid, [...(byTxid.get(txid) ?? []), entry])
  /** Entries that hold a write of which is known which one it is. */
  const explained = new Map<string, Set<number>>()
  const explain = (effect: Effect, { revision }: Entry) => {
    const key = keyOf(effect)
    explained.set(key, (explained.get(key) ?? new Set()).add(revision))
  }
  for (const { outcome, txid, revision, effect } of writes) {
    const found = txid === null ? [] : (byTxid.get(txid) ?? [])
    if (found.length > 1)
      problems.push(`${PROMISES.once}: ${keyOf(effect)}, transaction ${txid}, is in the log ${found.length} times`)
    if (outcome === 'acknowledged' && found[0]?.revision !== revision)
      problems.push(
        `${PROMISES.kept}: ${keyOf(effect)}, acknowledged at ${revision}, found at ${found[0]?.revision ?? 'no revision'}`,
      )
    for (const entry of found) explain(effect, entry)
  }
  const unexplained = new Map<string, number>()
  for (const entry of entries) {
    for (const effect of entry.changes) {
      const key = keyOf(effect)
      if (!explained.get(key)?.has(entry.revision)) unexplained.set(key, (unexplained.get(key) ?? 0) + 1)
    }
  }
  for (const [key, all] of Map.groupBy(writes, ({ effect }) => keyOf(effect))) {
    const done = unexplained.get(key) ?? 0
    const open = all.filter(({ outcome, txid }) => outcome === 'open' && txid === null).length
    if (done > open)
      problems.push(`${PROMISES.refused}: ${key} is in the log ${done} times, of which ${open} can be open writes`)
  }
  return problems
}

function sightProblems(sights: readonly Sight[], entries: readonly Entry[]): string[] {
  const problems: string[] = []
  const last = new Map<string, number>()
  const hashes = new Map(entries.map(({ revision, hash }) => [revision, hash]))
  for (const { node, revision, hash } of sights) {
    const before = last.get(node) ?? 0
    if (revision < before)
      problems.push(`${PROMISES.forward}: ${node} went back from revision ${before} to ${revision}`)
    last.set(node, revision)
    if (hashes.has(revision) && hashes.get(revision) !== hash)
      problems.push(
        `${PROMISES.equal}: ${node} has hash ${hash} at revision ${revision}, the log ${hashes.get(revision)}`,
      )
    hashes.set(revision, hash)
  }
  return problems
}

function lookupProblems(lookups: readonly Lookup[], entries: readonly Entry[]): string[] {
  const changed = new Map<string, { revision: number; isThere: boolean }[]>()
  for (const { revision, changes } of entries) {
    for (const { action, kind, id } of changes) {
      const all = changed.get(`${kind} ${id}`) ?? []
      all.push({ revision, isThere: action !== 'delete' })
      changed.set(`${kind} ${id}`, all)
    }
  }
  return lookups.flatMap(({ node, kind, id, isFound, from, to }) => {
    const all = changed.get(`${kind} ${id}`) ?? []
    const atFirst = all.findLast(({ revision }) => revision <= from)?.isThere ?? false
    const could = [
      atFirst,
      ...all.filter(({ revision }) => revision > from && revision <= to).map((one) => one.isThere),
    ]
    if (could.includes(isFound)) return []
    const told = isFound ? 'there' : 'not there'
    return [
      `${PROMISES.fresh}: ${node}: ${kind} ${id} was ${told} between revisions ${from} and ${to}, the log says otherwise`,
    ]
  })
}
