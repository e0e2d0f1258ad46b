import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { CassandraCounterRows } from '#store/cassandra/counters.ts'
import { CassandraFailure } from '#store/cassandra/port.ts'
import { MapPort } from '../../test/support/map-port.ts'
import { ClusterCounters, createClusterCounterBuffers, TELL_MS, type CountedKey } from './cluster-counters.ts'
import {
  CounterSync,
  OUT_OF_STEP_MS,
  ROUND_COUNTERS,
  SYNC_MS,
  type CounterRow,
  type CounterRows,
} from './counter-sync.ts'

const MINUTE = Date.parse('2030-05-17T10:20:00Z')
/** How old the knowledge of a node may be: a worker's collecting, the writer's round and the reader's; statements take no time here. */
const STALENESS_MS = TELL_MS + 2 * SYNC_MS
const STEP_MS = 10

class Clock {
  nowMs = MINUTE + 1000
}

/** A node with two workers. */
class Node {
  readonly lines: string[] = []
  readonly sync: CounterSync
  readonly workers: readonly ClusterCounters[]
  readonly #clock: Clock
  #timers: { readonly atMs: number; readonly run: () => void }[] = []
  #roundAtMs: number
  #worker = 0

  constructor(clock: Clock, rows: CounterRows, incarnation: string, entries = 2000) {
    this.#clock = clock
    // Nodes do not start their rounds at the same moment.
    this.#roundAtMs = clock.nowMs + ((incarnation.charCodeAt(0) * 70) % SYNC_MS)
    const now = () => clock.nowMs
    const buffers = createClusterCounterBuffers(entries)
    this.sync = new CounterSync({
      buffers,
      rows,
      incarnation,
      now,
      monotonicMs: now,
      delay: (ms) => new Promise((resolve) => this.#timers.push({ atMs: clock.nowMs + ms, run: resolve })),
      log: {
        warn: (_fields: object, message: string) => this.lines.push(message),
        info: (message: string) => this.lines.push(message),
      } as unknown as ConstructorParameters<typeof CounterSync>[0]['log'],
    })
    const later = (run: () => void, ms: number) => void this.#timers.push({ atMs: clock.nowMs + ms, run })
    this.workers = [1, 2].map(
      () => new ClusterCounters({ buffers, now, later, tell: (keys: readonly CountedKey[]) => this.sync.take(keys) }),
    )
  }

  /** Whether one more is admitted in this minute. */
  ask(key: string, limit: number): boolean {
    const startsAtMs = this.#clock.nowMs - (this.#clock.nowMs % 60_000)
    const worker = this.workers[this.#worker++ % this.workers.length]!
    return worker.addUpTo(`${key}:${startsAtMs}`, 1, limit, startsAtMs + 62_000, startsAtMs) <= limit
  }

  total(key: string): number {
    return this.workers[0]!.read(`${key}:${this.#clock.nowMs - (this.#clock.nowMs % 60_000)}`)
  }

  /** Ends what waits for this moment. */
  fire(): void {
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#clock.nowMs)
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#clock.nowMs)
    for (const { run } of due) run()
  }

  /** Runs what is due. */
  async step(): Promise<void> {
    this.fire()
    if (this.#clock.nowMs < this.#roundAtMs) return
    this.#roundAtMs = this.#clock.nowMs + SYNC_MS
    await this.sync.round()
  }
}

class Fleet {
  readonly clock = new Clock()
  readonly port = new MapPort()
  nodes: Node[]

  constructor(count: number) {
    this.nodes = Array.from({ length: count }, (_, i) => this.node(`${i}/first`))
  }

  node(incarnation: string): Node {
    const rows = new CassandraCounterRows({ port: this.port, nowMs: () => this.clock.nowMs })
    return new Node(this.clock, rows, incarnation)
  }

  async run(ms: number, each: () => void = () => {}): Promise<void> {
    for (const untilMs = this.clock.nowMs + ms; this.clock.nowMs < untilMs; this.clock.nowMs += STEP_MS) {
      each()
      for (const node of this.nodes) await node.step()
    }
  }

  rowKey(key: string): string {
    return createHash('sha256').update(`${key}:${MINUTE}`).digest('base64url').slice(0, 22)
  }

  totals(key: string): number[] {
    return this.nodes.map((node) => node.total(key))
  }
}

test('a node that is alone admits exactly the limit, whichever worker is asked', async () => {
  const fleet = new Fleet(1)
  let admitted = 0
  await fleet.run(3000, () => {
    for (let i = 0; i < 3; i++) admitted += Number(fleet.nodes[0]!.ask('k', 100))
  })
  assert.equal(admitted, 100)
})

test('what one node counted the others refuse as soon as they have read it', async () => {
  const fleet = new Fleet(3)
  const [first, second, third] = fleet.nodes as [Node, Node, Node]
  for (let i = 0; i < 5; i++) assert.equal(first.ask('k', 5), true)
  await fleet.run(STALENESS_MS)
  // A node asks for a counter once it is used there: its first request is admitted by what it knows itself.
  assert.equal(second.ask('k', 5), true)
  await fleet.run(STALENESS_MS)
  assert.equal(second.ask('k', 5), false)
  assert.equal(first.ask('k', 5), false)
  assert.equal(third.total('k'), 0)
})

test('clients that come now here, now there are counted as one, though each node is asked rarely', async () => {
  const fleet = new Fleet(2)
  let admitted = 0
  for (let i = 0; i < 30; i++) {
    admitted += Number(fleet.nodes[i % 2]!.ask('k', 10))
    await fleet.run(1500)
  }
  assert.ok(admitted <= 11, `${admitted} of 10`)
})

/** The most that was admitted in so many ms around any moment. */
function mostWithin(momentsMs: readonly number[], spanMs: number): number {
  let most = 0
  for (let from = 0, to = 0; to < momentsMs.length; to++) {
    while (momentsMs[to]! - momentsMs[from]! > spanMs) from++
    most = Math.max(most, to - from + 1)
  }
  return most
}

test('over all nodes at most the limit is admitted, and what each admits while it can not know of the others', async () => {
  const overshoots: number[] = []
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 3 }),
      fc.integer({ min: 1, max: 400 }),
      fc.array(fc.array(fc.nat({ max: 4 }), { minLength: 3, maxLength: 3 }), { minLength: 20, maxLength: 250 }),
      async (count, limit, load) => {
        const fleet = new Fleet(count)
        const admitted = fleet.nodes.map((): number[] => [])
        const before = fleet.nodes.map(() => 0)
        let at = 0
        await fleet.run((load.length + 5) * STEP_MS, () => {
          const asked = load[at++] ?? []
          for (const [i, node] of fleet.nodes.entries()) {
            for (let n = 0; n < (asked[i] ?? 0); n++) if (node.ask('k', limit)) admitted[i]!.push(fleet.clock.nowMs)
            const total = node.total('k')
            assert.ok(total >= before[i]!, 'a total never goes back')
            before[i] = total
          }
        })
        const sum = admitted.flat().length
        const bound = admitted.reduce((all, moments) => all + mostWithin(moments, STALENESS_MS + STEP_MS), 0)
        overshoots.push(sum - limit)
        assert.ok(sum <= limit + bound, `${sum} admitted, limit ${limit}, bound ${bound}`)
        await fleet.run(2 * STALENESS_MS)
        for (const [i, total] of fleet.totals('k').entries())
          if (admitted[i]!.length > 0) assert.equal(total, sum, 'afterwards all know the same')
      },
    ),
    { numRuns: 60 },
  )
  assert.ok(overshoots.some((overshoot) => overshoot > 0))
})

test('a restart begins a row of its own: what was counted before counts once more nowhere', async () => {
  const fleet = new Fleet(2)
  for (let i = 0; i < 4; i++) fleet.nodes[0]!.ask('k', 10)
  fleet.nodes[1]!.ask('k', 10)
  await fleet.run(2 * STALENESS_MS)
  assert.deepEqual(fleet.totals('k'), [5, 5])
  await fleet.nodes[0]!.sync.close()
  fleet.nodes[0] = fleet.node('0/second')
  fleet.nodes[0].ask('k', 10)
  await fleet.run(2 * STALENESS_MS, () => assert.ok(fleet.nodes[1]!.total('k') >= 5))
  assert.deepEqual(fleet.totals('k'), [6, 6])
})

test('what was counted last is written before the node ends', async () => {
  const fleet = new Fleet(2)
  fleet.nodes[0]!.ask('k', 10)
  for (const worker of fleet.nodes[0]!.workers) worker.flush()
  await fleet.nodes[0]!.sync.close()
  fleet.nodes[1]!.ask('k', 10)
  await fleet.run(STALENESS_MS)
  assert.equal(fleet.nodes[1]!.total('k'), 2)
})

test('a new window begins at 0 on all nodes', async () => {
  const fleet = new Fleet(2)
  fleet.clock.nowMs = MINUTE + 58_000
  await fleet.run(1000, () => fleet.nodes.forEach((node) => node.ask('k', 10)))
  assert.ok(fleet.totals('k').every((total) => total >= 10))
  await fleet.run(1000)
  assert.deepEqual(fleet.totals('k'), [0, 0])
  assert.equal(fleet.nodes[0]!.ask('k', 10), true)
  await fleet.run(4000)
  assert.equal(fleet.nodes[0]!.total('k'), 1)
})

test('a counter that this node had to drop comes back as its own row has it, which does not go back', async () => {
  const fleet = new Fleet(1)
  const rows = new CassandraCounterRows({ port: fleet.port, nowMs: () => fleet.clock.nowMs })
  const node = fleet.nodes[0]!
  for (let i = 0; i < 7; i++) node.ask('k', 10)
  await fleet.run(STALENESS_MS)
  // As when its bucket is full: the table knows nothing any more, with the same incarnation.
  const emptied = new Node(fleet.clock, rows, '0/first')
  fleet.nodes = [emptied]
  emptied.ask('k', 10)
  await fleet.run(STALENESS_MS)
  assert.equal(emptied.total('k'), 7)
  emptied.ask('k', 10)
  await fleet.run(STALENESS_MS)
  assert.equal((await rows.read({ key: fleet.rowKey('k'), windowStartMs: MINUTE }))[0]!.count, 8)
})

test('rows that are read late, twice and in any order add up to the same', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ incarnation: fc.constantFrom('a', 'b', 'c'), amount: fc.integer({ min: 1, max: 9 }) }), {
        minLength: 1,
        maxLength: 12,
      }),
      fc.array(fc.nat(), { maxLength: 20 }),
      async (additions, reads) => {
        const clock = new Clock()
        const states: CounterRow[][] = [[]]
        const counts = new Map<string, number>()
        for (const { incarnation, amount } of additions) {
          counts.set(incarnation, (counts.get(incarnation) ?? 0) + amount)
          states.push([...counts].map(([name, count]) => ({ incarnation: name, count })))
        }
        let seen: readonly CounterRow[] = []
        const node = new Node(
          clock,
          { exchange: async (_name, { count }) => ({ own: count, others: sumOf(seen) }) },
          'own/1',
        )
        let most = 0
        for (const at of [...reads, states.length - 1, ...reads]) {
          seen = states[at % states.length]!
          most = Math.max(most, sumOf(seen))
          node.ask('k', 1e9)
          const own = node.total('k')
          for (const worker of node.workers) worker.flush()
          await node.sync.round()
          assert.ok(node.total('k') >= own)
        }
        assert.equal(node.total('k') - (2 * reads.length + 1), most)
        assert.equal(most, sumOf(states.at(-1)!))
      },
    ),
  )
})

const sumOf = (rows: readonly CounterRow[]) => rows.reduce((sum, { count }) => sum + count, 0)

test('a million names at once take bounded memory', async () => {
  const clock = new Clock()
  const node = new Node(clock, { exchange: async (_name, { count }) => ({ own: count, others: 0 }) }, '0/first')
  const startsAtMs = MINUTE
  for (let i = 0; i < 1000; i++) {
    node.sync.take(
      Array.from({ length: 1000 }, (_, n) => ({ key: `${i}:${n}`, startsAtMs, expiresAtMs: startsAtMs + 62_000 })),
    )
    if (i % 100 === 0) await node.sync.round()
  }
  assert.ok(node.sync.tracked <= 40_000, String(node.sync.tracked))
  assert.ok(node.sync.dropped > 900_000)
  assert.ok(node.sync.waiting <= 20_000)
  for (let rounds = 0; node.sync.waiting > 0; rounds++) {
    await node.sync.round()
    assert.ok(rounds <= 20_000 / ROUND_COUNTERS)
  }
  clock.nowMs = MINUTE + 63_000
  await node.sync.round()
  assert.equal(node.sync.tracked, 0, 'windows that ended are forgotten')
})

test('long names are kept as digests', () => {
  const told: CountedKey[] = []
  const counters = new ClusterCounters({
    buffers: createClusterCounterBuffers(100),
    tell: (keys) => void told.push(...keys),
    later: () => {},
  })
  const far = Date.now() + 60_000
  counters.addUpTo('x'.repeat(10_000), 1, 5, far, 0)
  counters.addUpTo(`${'x'.repeat(9_999)}y`, 1, 5, far, 0)
  counters.flush()
  assert.deepEqual(
    told.map(({ key }) => key.length),
    [43, 43],
  )
  assert.equal(counters.read('x'.repeat(10_000)), 1)
  assert.equal(counters.add('x'.repeat(10_000), -1, far), 0)
})

test('while the rows can not be reached a node counts on, says so once, and catches up', async () => {
  const fleet = new Fleet(2)
  const [first, second] = fleet.nodes as [Node, Node]
  first.ask('k', 10)
  second.ask('k', 10)
  await fleet.run(2 * STALENESS_MS)
  fleet.port.failure = new CassandraFailure('unavailable', 'no replica', true)
  first.ask('k', 10)
  await fleet.run(OUT_OF_STEP_MS)
  assert.equal(first.workers[0]!.isSynced, true)
  await fleet.run(2 * SYNC_MS)
  assert.equal(first.workers[0]!.isSynced, false)
  for (let i = 0; i < 20; i++) first.ask('k', 10)
  assert.equal(first.total('k'), 10, 'limited by what it knows')
  await fleet.run(5000)
  assert.equal(first.lines.length, 1)
  fleet.port.failure = null
  await fleet.run(2 * STALENESS_MS)
  assert.equal(first.workers[0]!.isSynced, true)
  assert.equal(first.lines.length, 2)
  second.ask('k', 100)
  await fleet.run(2 * STALENESS_MS)
  assert.deepEqual(fleet.totals('k'), [first.total('k'), 11])
})

test('a node without anything to exchange finds out that it can again', async () => {
  const fleet = new Fleet(1)
  const node = fleet.nodes[0]!
  node.ask('k', 10)
  fleet.port.failure = new CassandraFailure('unavailable', 'no replica', true)
  await fleet.run(65_000)
  assert.deepEqual([node.sync.tracked, node.sync.isSynced], [0, false])
  fleet.port.failure = null
  await fleet.run(2 * SYNC_MS)
  assert.equal(node.sync.isSynced, true)
})

test('of what waited while nothing worked only what is still of use is exchanged', async () => {
  const clock = new Clock()
  const asked: string[] = []
  let fails = true
  const exchange: CounterRows['exchange'] = async ({ key }, { count }) => {
    asked.push(key)
    if (fails) throw new CassandraFailure('unavailable', 'no replica', true)
    return { own: count, others: 0 }
  }
  const node = new Node(clock, { exchange }, '0/first')
  const until = (expiresAtMs: number) => (_: unknown, i: number) => ({
    key: `${i} until ${expiresAtMs}`,
    startsAtMs: MINUTE,
    expiresAtMs,
  })
  node.sync.take(Array.from({ length: 2000 }, until(MINUTE + 2000)))
  node.sync.take(Array.from({ length: 5 }, until(MINUTE + 9000)))
  await node.sync.round()
  clock.nowMs += 3000
  await node.sync.round()
  assert.equal(node.sync.isSynced, false)
  fails = false
  asked.length = 0
  await node.sync.round()
  await node.sync.round()
  assert.deepEqual([asked.length, node.sync.waiting, node.sync.isSynced], [5, 0, true])
})

test('rows that never answer end a round, and the next ones only try', async () => {
  const clock = new Clock()
  let asked = 0
  const never = () => (asked++, new Promise<never>(() => {}))
  const node = new Node(clock, { exchange: never }, '0/first')
  for (let i = 0; i < 200; i++) node.ask(`k${i}`, 10)
  for (const worker of node.workers) worker.flush()
  const round = node.sync.round()
  assert.equal(asked, 64, 'so many at once')
  clock.nowMs += 1000
  node.fire()
  await round
  assert.equal(node.sync.failures, 1)
  assert.equal(node.sync.waiting, 200 - 64)
  void node.sync.round()
  assert.equal(asked, 64 + 1)
})
