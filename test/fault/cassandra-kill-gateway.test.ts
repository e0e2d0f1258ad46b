/**
 * kill -9 of the gateway that writes, at each step of a write and at any moment of it: what was acknowledged is there, what was
 * refused is not, and every other node comes to the same state by itself. Of a Kong on Cassandra 14 of 100 such kills leave the
 * others stale for good.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { agree, startBed, SERVED_MS, type ClusterBed, type ClusterNode } from '../support/cluster.ts'
import { effort, isFullEffort } from '../support/effort.ts'
import { History, type Effect, type Write } from '../support/history.ts'
import { KILL_POINT_FILE, KILL_POINTS, type KillPoint } from '../support/kill-points.ts'
import { sharedCassandra } from '../support/shared-cassandra.ts'
import { waitUntil } from '../support/wait.ts'

const BY_CLOCK = 'by the clock'
type Moment = KillPoint | typeof BY_CLOCK
const ALL: readonly Moment[] = [...KILL_POINTS, BY_CLOCK]
/** Usually every second one, of those that are not alike. */
const MOMENTS = ALL.filter((_, index) => isFullEffort() || index % 2 === 1 || index === ALL.length - 1)
const KILLS = effort(MOMENTS.length, MOMENTS.length * 10)
const HOOK = path.resolve(import.meta.dirname, '..', 'support', 'kill-points.ts')
/** Kills by the clock are spread over the time that a write takes, and a part of it more. */
const SPREAD = 1.5
/** Until a step is reached that comes at all. */
const REACHED_MS = 60_000

interface Victim {
  readonly effect: Effect
  readonly method: string
  readonly target: string
  readonly body?: unknown
  /** What the proxies answer before and after it. */
  readonly before: number
  readonly after: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

test(`after each of ${KILLS} kills of the writing gateway the other nodes serve what the log says`, async (t) => {
  const place = await sharedCassandra(t)
  if (!place) return
  await using bed = await startBed(place)
  const writer = await bed.start('writer', 'dc1', {}, { nodeOptions: ['--import', HOOK] })
  // None beside it in its data center, so that nobody else writes the projection there.
  const others = [await bed.start('second', 'dc2'), await bed.start('third', 'dc2')]
  const { victims, writeMs } = await prepare(bed, writer)
  await writer.allServe()
  // So that each node has used what is taken away, and has refused the keys that are to come.
  for (const node of others) {
    for (const { path, headers, before } of victims) assert.equal((await node.proxy(path, headers)).status, before)
  }

  const history = new History()
  const kills: { readonly moment: Moment; readonly write: Write }[] = []
  for (const [index, victim] of victims.entries()) {
    const moment = MOMENTS[index % MOMENTS.length]!
    const afterMs = (index / KILLS) * writeMs * SPREAD
    kills.push({ moment, write: await killAtWrite(writer, victim, history, moment, afterMs) })
    for (const node of others) await lookAt(history, node, victim)
    await writer.start()
    await history.look(writer)
  }

  let stale: string[] = []
  // From the projection that was written between kills.
  const all = [writer, ...others, await bed.start('fresh', 'dc1')]
  await waitUntil(
    'every node serves what the log says',
    async () => {
      await agree(all)
      stale = await staleOf(all, victims)
      return stale.length === 0
    },
    SERVED_MS,
  ).catch((error: unknown) => assert.deepEqual(stale, [], String(error)))
  for (const node of all) for (const victim of victims) await lookAt(history, node, victim)
  // A last one that is told, whatever was before the kills.
  await killAtWrite(writer, await lastVictim(writer), history, null, 0)
  await agree(all)
  for (const node of all) await history.verify(node)

  const done = await doneOf(victims, writer)
  for (const moment of MOMENTS) {
    const writes = kills.filter((kill) => kill.moment === moment).map(({ write }) => write)
    const isDone = ({ effect }: Write) => done.has(effect.id)
    const told = writes.filter(({ outcome }) => outcome === 'acknowledged').length
    t.diagnostic(`${moment}: ${writes.length} kills, ${told} acknowledged, ${writes.filter(isDone).length} in the log`)
    if (moment === KILL_POINTS[0]) assert.ok(!writes.some(isDone), moment)
    // Once Cassandra has answered, nothing that dies here takes it back.
    if (moment !== BY_CLOCK && KILL_POINTS.indexOf(moment) > 1) assert.ok(writes.every(isDone), moment)
  }
  t.diagnostic(
    `${KILLS} kills: ${history.count('acknowledged')} acknowledged, ${history.count('refused')} refused, ` +
      `${history.count('open')} open; in the log ${done.size}; stale for good: ${stale.length}; a write takes ${Math.round(writeMs)} ms`,
  )
})

/** By turns: a credential that is deleted, a plugin that is disabled, a credential that is made. Each has its own entities. */
async function prepare(
  bed: ClusterBed,
  writer: ClusterNode,
): Promise<{ readonly victims: readonly Victim[]; /** The median of a write. */ readonly writeMs: number }> {
  await bed.route(writer, 'keys')
  await writer.change('POST', '/routes/keys/plugins', { name: 'key-auth' })
  await writer.change('PUT', '/consumers/alice', {})
  const victims: Victim[] = []
  const tookMs: number[] = []
  for (let n = 0; n < KILLS; n++) {
    const key = `key-${n}`
    if (n % 3 === 0) {
      const startMs = performance.now()
      const { id } = await writer.change('POST', '/consumers/alice/key-auth', { key })
      tookMs.push(performance.now() - startMs)
      victims.push({
        effect: { action: 'delete', kind: 'keyauth_credentials', id },
        method: 'DELETE',
        target: `/consumers/alice/key-auth/${id}`,
        before: 200,
        after: 401,
        path: '/keys',
        headers: { apikey: key },
      })
    } else if (n % 3 === 1) {
      await bed.route(writer, `closed-${n}`)
      const config = { status_code: 418 }
      const { id } = await writer.change('POST', `/routes/closed-${n}/plugins`, { name: 'request-termination', config })
      victims.push({
        effect: { action: 'update', kind: 'plugins', id },
        method: 'PATCH',
        target: `/plugins/${id}`,
        body: { enabled: false },
        before: 418,
        after: 200,
        path: `/closed-${n}`,
        headers: {},
      })
    } else {
      const id = randomUUID()
      victims.push({
        effect: { action: 'create', kind: 'keyauth_credentials', id },
        method: 'POST',
        target: '/consumers/alice/key-auth',
        body: { id, key },
        before: 401,
        after: 200,
        path: '/keys',
        headers: { apikey: key },
      })
    }
  }
  const writeMs = tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length / 2)]!
  // No moment belongs to one kind of write only.
  return { victims: victims.toSorted((a, b) => (a.effect.id < b.effect.id ? -1 : 1)), writeMs }
}

/** `null` for none: it lives. */
async function killAtWrite(
  writer: ClusterNode,
  { effect, method, target, body }: Pick<Victim, 'effect' | 'method' | 'target' | 'body'>,
  history: History,
  moment: Moment | null,
  afterMs: number,
): Promise<Write> {
  const sent = Promise.withResolvers<void>()
  if (moment !== null && moment !== BY_CLOCK) writeFileSync(path.join(writer.prefix, KILL_POINT_FILE), moment)
  const write = history.write(writer, effect, () =>
    writer.admin(method, target, body, { onSent: sent.resolve, timeoutMs: REACHED_MS }),
  )
  await sent.promise
  if (moment === BY_CLOCK) {
    await sleep(afterMs)
    await writer.kill()
  } else if (moment !== null) {
    const { child } = writer.gateway
    await child
      .waitUntil(moment, async () => child.exit !== null, REACHED_MS)
      .catch((error: unknown) => {
        if (child.exit === null) throw error
      })
    assert.equal(child.exit?.signal, 'SIGKILL', child.output.slice(-2000))
  }
  return await write
}

async function lookAt(history: History, node: ClusterNode, { effect, path, headers }: Victim): Promise<void> {
  // Only whether an entity is there shows in the log's list, not whether it is enabled.
  if (effect.kind === 'plugins') return
  await history.lookup(node, effect, async () => (await node.proxy(path, headers)).status === 200)
}

/** A credential that is made by a write during which nothing dies. */
async function lastVictim(writer: ClusterNode): Promise<Pick<Victim, 'effect' | 'method' | 'target' | 'body'>> {
  const id = randomUUID()
  await writer.allServe()
  const effect = { action: 'create', kind: 'keyauth_credentials', id } as const
  return { effect, method: 'POST', target: '/consumers/alice/key-auth', body: { id, key: id } }
}

/** Ids of those whose write the log has. */
async function doneOf(victims: readonly Victim[], node: ClusterNode): Promise<Set<string>> {
  const done = new Set<string>()
  for (const { effect } of victims) {
    const target = effect.kind === 'plugins' ? `/plugins/${effect.id}` : `/consumers/alice/key-auth/${effect.id}`
    const { status, json } = await node.admin('GET', target)
    const isDone =
      effect.action === 'delete' ? status === 404 : status === 200 && (effect.action === 'create' || !json.enabled)
    if (isDone) done.add(effect.id)
  }
  return done
}

async function staleOf(nodes: readonly ClusterNode[], victims: readonly Victim[]): Promise<string[]> {
  const done = await doneOf(victims, nodes[0]!)
  const stale: string[] = []
  for (const node of nodes) {
    for (const { effect, path, headers, before, after } of victims) {
      const { status } = await node.proxy(path, headers)
      if (status !== (done.has(effect.id) ? after : before))
        stale.push(`${node.name}: ${effect.action} ${effect.kind} ${effect.id}`)
    }
  }
  return stale
}
