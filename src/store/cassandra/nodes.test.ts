import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { MapPort } from '../../../test/support/map-port.ts'
import type { NodeState } from '../cluster-view.ts'
import { Membership } from './nodes.ts'
import { CassandraFailure, type CassandraPort, type Selection, type Table, type TableRow } from './port.ts'
import { NODES } from './tables.ts'

/** Time that goes on when the test says so. */
class FakeTime {
  nowMs = 1_000
  readonly #timers = new Set<{ readonly atMs: number; readonly end: () => void }>()

  delay = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = { atMs: this.nowMs + ms, end: resolve }
      this.#timers.add(timer)
      signal.addEventListener('abort', () => {
        this.#timers.delete(timer)
        reject(new Error('aborted'))
      })
    })

  /** In steps, so that what is done in between sees its own time. */
  async pass(ms: number): Promise<void> {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs;) {
      this.nowMs += Math.min(100, untilMs - this.nowMs)
      for (const timer of this.#timers) {
        if (timer.atMs > this.nowMs) continue
        this.#timers.delete(timer)
        timer.end()
      }
      await turn()
    }
  }
}

interface Test {
  readonly time: FakeTime
  readonly port: MapPort
  readonly told: string[]
  node(id: string, options?: NodeOptions): TestNode
}
interface NodeOptions {
  readonly dataCenter?: string
  readonly port?: CassandraPort
  readonly skewMs?: () => number
  readonly incarnation?: string
}
interface TestNode {
  readonly state: { -readonly [Name in keyof NodeState]: NodeState[Name] }
  readonly membership: Membership
  /** What it sees of the others, as `id status`. */
  seen(): string[]
}

function createTest(): Test {
  const time = new FakeTime()
  const port = new MapPort()
  const told: string[] = []
  return {
    time,
    port,
    told,
    node(id, { dataCenter = 'dc1', port: own = port, skewMs = () => 0, incarnation = id } = {}) {
      const state = stateOf(incarnation)
      const membership = new Membership({
        port: own,
        nodeId: id,
        dataCenter,
        dataCenters: ['dc1', 'dc2'],
        state: () => ({ ...state }),
        log: {
          info: (...words: unknown[]) => void told.push(String(words.at(-1))),
          warn: (...words: unknown[]) => void told.push(String(words.at(-1))),
        },
        monotonicMs: () => time.nowMs,
        nowMs: () => 1_700_000_000_000 + time.nowMs + skewMs(),
        delay: time.delay,
        random: () => 0.5,
      })
      membership.start()
      return {
        state,
        membership,
        seen: () =>
          membership
            .nodes()
            .filter((node) => !node.is_self)
            .map(({ node_id, status }) => `${node_id} ${status}`),
      }
    },
  }
}

function stateOf(incarnation: string): TestNode['state'] {
  return {
    incarnation,
    hostname: `host-${incarnation}`,
    version: '0.1.0',
    role: 'all',
    address: null,
    admin_address: null,
    proxy_address: '10.0.0.1:8000',
    applied_revision: 7,
    hash: 'h7',
    epoch: 1,
    serving_revision: 7,
    ready: true,
    draining: false,
    stopped: false,
    workers: 2,
    requests_per_second: 0,
    started_at_ms: 0,
    understands: { entry_formats: [1], kinds: ['services'] },
  }
}

/** A node's own way to Cassandra, which can be cut, be slow or answer never. */
class Link implements CassandraPort {
  failure: CassandraFailure | null = null
  isHung = false
  readonly #port: CassandraPort

  constructor(port: CassandraPort) {
    this.#port = port
  }

  async select(table: Table, selection: Selection): Promise<readonly TableRow[]> {
    await this.#pass()
    return this.#port.select(table, selection)
  }
  async insert(...all: Parameters<CassandraPort['insert']>): Promise<void> {
    await this.#pass()
    return this.#port.insert(...all)
  }
  insertAll = () => assert.fail()
  insertIfAbsent = () => assert.fail()
  replaceIf = () => assert.fail()
  deleteIfPresent = () => assert.fail()

  async #pass(): Promise<void> {
    if (this.isHung) await new Promise(() => {})
    if (this.failure) throw this.failure
  }
}

const down = new CassandraFailure('unreachable', 'no host answers', false)

test('nodes see each other, over data centers, with what each says of itself', async () => {
  const { time, node } = createTest()
  const [a, b] = [node('a'), node('b', { dataCenter: 'dc2' })]
  b.state.serving_revision = 5
  await time.pass(5_000)
  assert.deepEqual([a.seen(), b.seen()], [['b up'], ['a up']])
  assert.partialDeepStrictEqual(a.membership.nodes(), [
    { node_id: 'a', data_center: 'dc1', is_self: true, status: 'up' },
    { node_id: 'b', data_center: 'dc2', is_self: false, hostname: 'host-b', serving_revision: 5 },
  ])
  await Promise.all([a, b].map(({ membership }) => membership.close()))
})

test('a node that is silent for ten seconds is down, and up again with its next heartbeat', async () => {
  const { time, port, node } = createTest()
  const link = new Link(port)
  const [a, b] = [node('a'), node('b', { port: link })]
  await time.pass(5_000)
  link.failure = down
  await time.pass(7_000)
  assert.deepEqual(a.seen(), ['b up'])
  await time.pass(5_000)
  assert.deepEqual(a.seen(), ['b down'])
  link.failure = null
  await time.pass(5_000)
  assert.deepEqual(a.seen(), ['b up'])
  await Promise.all([a, b].map(({ membership }) => membership.close()))
})

test('clocks that are a minute apart, or are set back while a node runs, change nothing', async () => {
  const { time, node } = createTest()
  let skewMs = 60_000
  const [a, b, c] = [node('a', { skewMs: () => -60_000 }), node('b', { skewMs: () => skewMs }), node('c')]
  await time.pass(20_000)
  skewMs = -60_000
  for (let seconds = 0; seconds < 60; seconds += 5) {
    await time.pass(5_000)
    for (const { seen } of [a, b, c])
      assert.deepEqual(new Set(seen().map((text) => text.split(' ')[1])), new Set(['up']))
  }
  await Promise.all([a, b, c].map(({ membership }) => membership.close()))
})

test('a node that starts again with its clock set back is seen at once', async () => {
  const { time, port, node } = createTest()
  const link = new Link(port)
  const [a, b] = [node('a'), node('b', { port: link, skewMs: () => 60_000 })]
  await time.pass(5_000)
  link.failure = down
  await b.membership.close()
  await time.pass(15_000)
  assert.deepEqual(a.seen(), ['b down'])
  const again = node('b', { incarnation: 'b2' })
  await time.pass(3_000)
  assert.deepEqual(a.seen(), ['b up'])
  assert.equal(a.membership.nodes()[1]?.hostname, 'host-b2')
  await Promise.all([a, again].map(({ membership }) => membership.close()))
})

test('without Cassandra the others are unknown, and that is told once when it begins and once when it is over', async () => {
  const { time, port, told, node } = createTest()
  const link = new Link(port)
  const [a, b] = [node('a', { port: link }), node('b')]
  await time.pass(5_000)
  link.failure = down
  await time.pass(30_000)
  assert.deepEqual(a.seen(), ['b unknown'])
  assert.equal(a.membership.failure, down)
  link.failure = null
  await time.pass(3_000)
  assert.deepEqual(a.seen(), ['b up'])
  assert.deepEqual([told.length, a.membership.failure], [2, null])
  await Promise.all([a, b].map(({ membership }) => membership.close()))
})

test('after an outage for all, nobody is taken for down because nobody could write', async () => {
  const { time, port, node } = createTest()
  const [a, b] = [node('a'), node('b')]
  await time.pass(5_000)
  port.failure = down
  await time.pass(60_000)
  port.failure = null
  for (let passed = 0; passed < 5_000; passed += 100) {
    await time.pass(100)
    for (const { seen } of [a, b]) assert.ok(!seen().some((text) => text.endsWith('down')))
  }
  assert.deepEqual(a.seen(), ['b up'])
  await Promise.all([a, b].map(({ membership }) => membership.close()))
})

test('statements that are never answered stop neither the heartbeat nor the end of the node', async () => {
  const { time, port, node } = createTest()
  const link = new Link(port)
  const [a, b] = [node('a', { port: link }), node('b')]
  await time.pass(5_000)
  link.isHung = true
  await time.pass(20_000)
  assert.equal(a.membership.failure?.message, 'no answer within 1500 ms')
  link.isHung = false
  await time.pass(4_000)
  assert.equal(a.membership.failure, null)
  link.isHung = true
  const closing = a.membership.close()
  await time.pass(5_000)
  await closing
  await b.membership.close()
})

test('a node that ends in order is down at once', async () => {
  const { time, node } = createTest()
  const [a, b] = [node('a'), node('b')]
  await time.pass(5_000)
  await b.membership.close()
  await time.pass(2_500)
  assert.deepEqual(a.seen(), ['b down'])
  await a.membership.close()
})

test('a row whose time to live is over is forgotten', async () => {
  const { time, port, node } = createTest()
  const [a, b] = [node('a'), node('b')]
  await time.pass(5_000)
  await b.membership.close()
  await port.deleteIfPresent(NODES, { data_center: 'dc1', node_id: 'b' })
  await time.pass(2_500)
  assert.deepEqual(a.seen(), [])
  await a.membership.close()
})

test('the ready node with the lowest id projects for its data center; who is alone or in doubt does it itself', async () => {
  const { time, port, node } = createTest()
  const link = new Link(port)
  const [a, b, c, far] = [node('a'), node('b', { port: link }), node('c'), node('0', { dataCenter: 'dc2' })]
  const nodes = [a, b, c, far]
  const projectors = () => nodes.map(({ membership }) => membership.projector)
  const first = () => nodes.map(({ membership }) => membership.isFirstProjector)
  assert.deepEqual(projectors(), ['a', 'b', 'c', '0'])
  await time.pass(5_000)
  assert.deepEqual(projectors(), ['a', 'a', 'a', '0'])
  assert.deepEqual(first(), [true, false, false, false])
  a.state.draining = true
  await time.pass(5_000)
  assert.deepEqual(projectors(), ['b', 'b', 'b', '0'])
  assert.deepEqual(first(), [false, true, false, false])
  link.failure = down
  await time.pass(15_000)
  assert.deepEqual(projectors(), ['c', 'b', 'c', '0'])
  assert.deepEqual(first(), [false, false, true, false])
  await c.membership.close()
  await time.pass(5_000)
  assert.equal(a.membership.projector, 'a')
  await Promise.all(nodes.map(({ membership }) => membership.close()))
})

test('where the first data center has no node that could, the projector of the next does it for all', async () => {
  const { time, node } = createTest()
  const [a, far] = [node('a'), node('z', { dataCenter: 'dc2' })]
  await time.pass(5_000)
  const first = () => [a, far].map(({ membership }) => membership.isFirstProjector)
  assert.deepEqual(first(), [true, false])
  a.state.draining = true
  await time.pass(5_000)
  assert.deepEqual(first(), [false, true])
  await Promise.all([a, far].map(({ membership }) => membership.close()))
})

test('who waits for the state of a later epoch does not project, where another follows that', async () => {
  const { time, node } = createTest()
  const [a, b, far] = [node('a'), node('b'), node('z', { dataCenter: 'dc2' })]
  const nodes = [a, b, far]
  /** The projector of each one's data center as it sees it, with a star if it takes itself for the first of all. */
  const seen = () => nodes.map(({ membership: one }) => `${one.projector}${one.isFirstProjector ? '*' : ''}`)
  await time.pass(5_000)
  assert.deepEqual(seen(), ['a*', 'a', 'z'])
  b.state.epoch = 2
  await time.pass(5_000)
  assert.deepEqual(seen(), ['b', 'b*', 'z'])
  b.state.epoch = 1
  far.state.epoch = 2
  await time.pass(5_000)
  // Here none could; what is to be done for all data centers is done where one can.
  assert.deepEqual(seen(), ['a', 'a', 'z*'])
  await Promise.all(nodes.map(({ membership }) => membership.close()))
})

test('who is woken writes and reads soon, but not more than twice a second', async () => {
  const { time, port, node } = createTest()
  let writes = 0
  const link = new Link(port)
  const insert = link.insert.bind(link)
  link.insert = (...all) => {
    writes++
    return insert(...all)
  }
  const [a, b] = [node('a', { port: link }), node('b')]
  await time.pass(5_000)
  a.state.serving_revision = 8
  a.membership.wake()
  await time.pass(600)
  b.membership.wake()
  await time.pass(100)
  assert.equal(b.membership.nodes()[0]?.serving_revision, 8)
  writes = 0
  for (let times = 0; times < 100; times++) {
    a.membership.wake()
    await time.pass(100)
  }
  assert.ok(writes >= 16 && writes <= 20, String(writes))
  await Promise.all([a, b].map(({ membership }) => membership.close()))
})

test('two nodes with one id are told of, and not again and again', async () => {
  const { time, told, node } = createTest()
  const twins = [node('a'), node('a', { incarnation: 'a2' })]
  await time.pass(20_000)
  const times = told.filter((text) => text.startsWith('another node runs')).length
  assert.ok(times === 1 || times === 2, String(times))
  await Promise.all(twins.map(({ membership }) => membership.close()))
})

test('a row of another version, or one that somebody spoilt, is a node of which little is known', async () => {
  const { time, port, node } = createTest()
  const a = node('a')
  const write = (node_id: string, state: string | null) =>
    port.insert(NODES, { data_center: 'dc2', node_id, state, heartbeat_ms: 1 }, { consistency: 'LOCAL_QUORUM' })
  await write('x', '{"serving_revision":"9","ready":true,"new":[1]}')
  await write('y', '{')
  await write('z', null)
  await time.pass(3_000)
  assert.deepEqual(a.seen(), ['x up', 'y up', 'z up'])
  assert.partialDeepStrictEqual(a.membership.nodes()[1], { serving_revision: -1, ready: true, hostname: '' })
  await a.membership.close()
})
