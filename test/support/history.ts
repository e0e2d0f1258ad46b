/**
 * The history of a cluster as its clients saw it: every write with what it was told, what each node said of itself, and what look-ups
 * found. At the end the log, read through the Admin API, says what really happened (`history-check.ts`).
 */
import assert from 'node:assert/strict'
import type { Reply } from './ask.ts'
import type { ClusterNode } from './cluster.ts'
import {
  brokenPromises,
  type Effect,
  type Entry,
  type Lookup,
  type Outcome,
  type Sight,
  type Write,
} from './history-check.ts'
import { TAMPERINGS } from './history-tampering.ts'

export type { Effect, Write } from './history-check.ts'

/** Of a node only what it says is asked. */
type Asked = Pick<ClusterNode, 'name' | 'id' | 'admin'>

export class History {
  readonly writes: Write[] = []
  readonly #sights: Sight[] = []
  readonly #lookups: Lookup[] = []

  /** Sends a write and keeps what came of it; no answer at all is an open outcome. */
  async write(node: Asked, effect: Effect, send: () => Promise<Reply>): Promise<Write> {
    const write = judge(node.name, effect, await send().catch(() => null))
    this.writes.push(write)
    return write
  }

  count(outcome: Outcome): number {
    return this.writes.filter((write) => write.outcome === outcome).length
  }

  /** What the node says of itself now; one such question at a time for each node. Answers what it serves and what it knows. */
  async look(node: Asked): Promise<{ readonly serving: number; readonly head: number }> {
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
  async lookup(node: Asked, entity: Pick<Effect, 'kind' | 'id'>, isThere: () => Promise<boolean>): Promise<boolean> {
    const { serving } = await this.look(node)
    const isFound = await isThere()
    const { head } = await this.look(node)
    this.#lookups.push({ node: node.name, ...entity, isFound, from: serving, to: head })
    return isFound
  }

  /**
   * Fails unless every promise was kept, by the log as this node has it, which is to have caught up. And unless the history is one
   * by which a broken promise would have shown: with any of them broken on purpose in what was recorded, it has to be found.
   */
  async verify(node: Asked): Promise<void> {
    const record = { writes: this.writes, sights: this.#sights, lookups: this.#lookups, entries: await readLog(node) }
    assert.deepEqual(brokenPromises(record), [], `by the log of ${node.name}`)
    for (const { promise, tamper } of TAMPERINGS) {
      const tampered = tamper(record)
      assert.ok(tampered, `nothing was recorded by which it would show that this is broken: ${promise}`)
      const found = brokenPromises(tampered)
      assert.ok(
        found.some((problem) => problem.startsWith(`${promise}: `)),
        `broken on purpose and not found: ${promise}; found: ${found.join('\n')}`,
      )
    }
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
async function readLog(node: Asked): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  for (let target: string | null = '/log?size=1000'; target !== null;) {
    const { status, text, json }: Reply = await node.admin('GET', target)
    if (status !== 200) throw new Error(`GET ${target}: ${status} ${text}`)
    entries.push(...(json.data as Entry[]))
    target = json.next as string | null
  }
  return entries.reverse()
}
