/**
 * The history of a cluster as its clients saw it: every write with what it was told, what each node said of itself, and what look-ups
 * found. At the end the log, read through the Admin API, says what really happened, and `problems` lists each broken promise.
 */
import type { Reply } from './ask.ts'
import type { ClusterNode } from './cluster.ts'

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

interface Sight {
  readonly node: string
  readonly revision: number
  readonly hash: string
}

interface Lookup {
  readonly node: string
  readonly kind: string
  readonly id: string
  readonly isFound: boolean
  /** Served on the node before the question was sent, and known to it after the answer had come. */
  readonly from: number
  readonly to: number
}

interface Entry {
  readonly revision: number
  readonly txid: string
  readonly hash: string
  readonly previous_hash: string
  readonly members?: readonly { readonly txid: string }[]
  readonly changes: readonly Effect[]
}

export class History {
  readonly writes: Write[] = []
  readonly #sights: Sight[] = []
  readonly #lookups: Lookup[] = []

  /** Sends a write and keeps what came of it; no answer at all is an open outcome. */
  async write(node: ClusterNode, effect: Effect, send: () => Promise<Reply>): Promise<Write> {
    const write = judge(node.name, effect, await send().catch(() => null))
    this.writes.push(write)
    return write
  }

  count(outcome: Outcome): number {
    return this.writes.filter((write) => write.outcome === outcome).length
  }

  /** What the node says of itself now; one such question at a time for each node. Answers what it serves and what it knows. */
  async look(node: ClusterNode): Promise<{ readonly serving: number; readonly head: number }> {
    const { json } = await node.admin('GET', '/cluster/revision')
    const { revision, hash, nodes } = json as {
      revision: number
      hash: string
      nodes: { node_id: string; revision: number; hash: string | null }[]
    }
    this.#sights.push({ node: node.name, revision, hash })
    const self = nodes.find(({ node_id }) => node_id === node.id)
    return { serving: self?.revision ?? -1, head: revision }
  }

  /** Whether an entity is there as far as this node's answer to a request shows, between two looks at its revision. */
  async lookup(
    node: ClusterNode,
    entity: Pick<Effect, 'kind' | 'id'>,
    isThere: () => Promise<boolean>,
  ): Promise<boolean> {
    const { serving } = await this.look(node)
    const isFound = await isThere()
    const { head } = await this.look(node)
    this.#lookups.push({ node: node.name, ...entity, isFound, from: serving, to: head })
    return isFound
  }

  /** Compares with the log as this node has it, which is to have caught up. Empty when every promise was kept. */
  async problems(node: ClusterNode): Promise<readonly string[]> {
    const entries = await readLog(node)
    return [
      ...chainProblems(entries),
      ...writeProblems(this.writes, entries),
      ...sightProblems(this.#sights, entries),
      ...lookupProblems(this.#lookups, entries),
    ]
  }
}

function judge(node: string, effect: Effect, reply: Reply | null): Write {
  const header = (name: string) => (reply === null ? null : ((reply.headers[name] as string | undefined) ?? null))
  const txid = header('x-config-transaction')
  const revision = header('x-config-revision')
  const status = reply?.status ?? null
  const isAcknowledged = status !== null && status < 300 && txid !== null
  // Only an answer that names no transaction says that nothing was done; other failures of the gateway say nothing.
  const isRefused = status !== null && txid === null && (status < 500 || status === 503)
  const outcome = isAcknowledged ? 'acknowledged' : isRefused ? 'refused' : 'open'
  return { node, effect, outcome, status, txid, revision: isAcknowledged ? Number(revision) : null }
}

/** All of it, oldest first. */
async function readLog(node: ClusterNode): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  for (let target: string | null = '/log?size=1000'; target !== null;) {
    const { status, text, json }: Reply = await node.admin('GET', target)
    if (status !== 200) throw new Error(`GET ${target}: ${status} ${text}`)
    entries.push(...(json.data as Entry[]))
    target = json.next as string | null
  }
  return entries.reverse()
}

function chainProblems(entries: readonly Entry[]): string[] {
  return entries.flatMap(({ revision, previous_hash }, index) => {
    const before = entries[index - 1]
    const isNext = before === undefined || (before.revision + 1 === revision && before.hash === previous_hash)
    return isNext ? [] : [`revision ${revision} does not follow the entry before it`]
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
    if (found.length > 1) problems.push(`${keyOf(effect)}: transaction ${txid} is in the log ${found.length} times`)
    if (outcome === 'acknowledged' && found[0]?.revision !== revision)
      problems.push(`${keyOf(effect)}: acknowledged at ${revision}, found at ${found[0]?.revision ?? 'no revision'}`)
    if (found[0] !== undefined) explain(effect, found[0])
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
    if (done > open) problems.push(`${key}: in the log ${done} times, of which ${open} can be open writes`)
  }
  return problems
}

function sightProblems(sights: readonly Sight[], entries: readonly Entry[]): string[] {
  const problems: string[] = []
  const last = new Map<string, number>()
  const hashes = new Map(entries.map(({ revision, hash }) => [revision, hash]))
  for (const { node, revision, hash } of sights) {
    const before = last.get(node) ?? 0
    if (revision < before) problems.push(`${node}: went back from revision ${before} to ${revision}`)
    last.set(node, revision)
    if (hashes.has(revision) && hashes.get(revision) !== hash)
      problems.push(`${node}: has hash ${hash} at revision ${revision}, the log ${hashes.get(revision)}`)
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
    return [`${node}: ${kind} ${id} was ${told} between revisions ${from} and ${to}, the log says otherwise`]
  })
}
