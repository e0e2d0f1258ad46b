/**
 * An oracle over limits that data centers share, with real Redis: it sees every decision of every node, and holds what was admitted
 * against what each mode promises, under load, partition, heal and loss of a Redis, with any split of the traffic.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LimitWindow } from '#model/limit-window.ts'
import { LimitWindows } from '#plugins/traffic-limit/windows.ts'
import { DataCenterBed, EXCHANGE_MS, type DataCenterBedOptions } from '../support/data-center-bed.ts'
import { effort, isFullEffort } from '../support/effort.ts'
import { requirePart } from '../support/parts.ts'
import { waitUntil } from '../support/wait.ts'

/** In which each data center has heard what was counted before, whatever was under way: one that had begun, one before names were noted. */
const HEARD_ROUNDS = 4
const HEARD_MS = HEARD_ROUNDS * EXCHANGE_MS

interface Admitted {
  readonly dataCenter: string
  /** Rounds of exchange before. */
  readonly rounds: number
}

type Mode = 'counted' | 'leased'

/** The keys of windows in Redis. */
const WINDOWS: Readonly<Record<Mode, string>> = { counted: 'm:traffic:*', leased: 'm:lease:*' }

/** A client whose requests come to all data centers. */
class Load {
  readonly admitted: Admitted[] = []
  refused = 0
  /** By node, how many had been admitted when it was last answered. */
  readonly #seen = new Map<DataCenterBed['nodes'][number], number>()
  readonly #bed: DataCenterBed
  readonly mode: Mode
  readonly #key: string
  readonly #windows: readonly LimitWindow[]

  constructor(bed: DataCenterBed, mode: Mode, key: string, limit: number) {
    this.#bed = bed
    this.mode = mode
    this.#key = key
    const windows = new LimitWindows([{ limit, window: 'year', algorithm: 'fixed', burst: null, name: null }])
    this.#windows = windows.at(Date.now())
  }

  get total(): number {
    return this.admitted.length
  }

  of(dataCenter: string): number {
    return this.admitted.filter((each) => each.dataCenter === dataCenter).length
  }

  /** Each node asks as fast as `shares` says of its data center: 1 is some 500 times a second, 0 never. */
  async run(forMs: number, shares: Readonly<Record<string, number>>): Promise<void> {
    const untilMs = performance.now() + forMs
    await Promise.all(
      this.#bed.nodes.map(async (node) => {
        const share = shares[node.dataCenter] ?? 0
        if (share === 0) return
        while (performance.now() < untilMs) {
          await this.#ask(node)
          await sleep(Math.random() * (2 / share))
        }
      }),
    )
  }

  /** Until so many in a row were refused everywhere. */
  async exhaust(dataCenters: readonly string[], forMs = 10_000): Promise<void> {
    const shares = Object.fromEntries(dataCenters.map((name) => [name, 1]))
    const untilMs = performance.now() + forMs
    for (let before = -1; before !== this.total && performance.now() < untilMs;) {
      before = this.total
      await this.run(HEARD_MS, shares)
    }
  }

  async #ask(node: DataCenterBed['nodes'][number]): Promise<void> {
    const decision = await node[this.mode].take(this.#key, 1, this.#windows, Date.now())
    if (decision !== null) this.#seen.set(node, this.total)
    if (decision?.refusedBy === 0) this.admitted.push({ dataCenter: node.dataCenter, rounds: this.#bed.rounds })
    else this.refused++
  }

  /** The most that a node of a data center has not seen of what was admitted before its last answer. */
  unseen(dataCenter: string): number {
    const nodes = this.#bed.nodes.filter((node) => node.dataCenter === dataCenter)
    return this.total - Math.min(...nodes.map((node) => this.#seen.get(node) ?? 0))
  }

  /** What was admitted over the limit by data centers that must have heard that it is reached. */
  late(limit: number): readonly Admitted[] {
    const reached = this.admitted[limit - 1]?.rounds ?? Infinity
    return this.admitted.slice(limit).filter(({ rounds }) => rounds >= reached + HEARD_ROUNDS)
  }
}

async function startBed(
  t: TestContext,
  names: readonly string[],
  options: DataCenterBedOptions = {},
): Promise<DataCenterBed | null> {
  const program = await requirePart(t, 'redis')
  if (program === null) return null
  const bed = await DataCenterBed.start(program, names, 2, options)
  t.after(async () => {
    try {
      assert.deepEqual(await bed.keysForGood(), [])
    } finally {
      await bed[Symbol.asyncDispose]()
    }
  })
  await waitUntil('one node of each data center exchanges', () => bed.places.every(({ exchange }) => exchange.isLeader))
  return bed
}

function excessBound({ places }: DataCenterBed): number {
  return places.reduce((sum, { exchange }) => sum + exchange.excessOf(exchange.peers[0]!), 0)
}

const SPLITS = [
  { east: 1, west: 1 },
  { east: 1, west: 0.1 },
  { east: 0, west: 1 },
]

test('counted: more than the limit is admitted only until a data center has heard of it', async (t) => {
  const bed = await startBed(t, ['east', 'west'])
  if (bed === null) return
  for (let run = 0; run < effort(1, 8); run++) {
    for (const [index, split] of SPLITS.entries()) {
      const limit = 100 + 50 * index
      const load = new Load(bed, 'counted', `plain${run}/${index}`, limit)
      await load.run(300, split)
      const bound = excessBound(bed)
      await load.exhaust(['east', 'west'])
      assert.deepEqual(load.late(limit), [])
      t.diagnostic(
        `east ${split.east}, west ${split.west}: of ${limit} were admitted ${load.total}, the metric says ${Math.round(bound)} on top`,
      )
      assert.ok(bound > 0, 'the metric knows of the load')
      assert.ok(load.total >= limit, `${load.total} of ${limit}`)
    }
  }
})

test('counted: a partition admits each data center its limit, and nothing after it has healed', async (t) => {
  const bed = await startBed(t, ['east', 'west'])
  if (bed === null) return
  const load = new Load(bed, 'counted', 'cut', 60)
  bed.cut()
  await load.run(400, { east: 1, west: 1 })
  assert.deepEqual([load.of('east'), load.of('west')], [60, 60])
  bed.heal()
  const other = new Load(bed, 'counted', 'healed', 200)
  await waitUntil('they exchange again', () =>
    bed.places.every(({ exchange }) => exchange.peers.every((peer) => !peer.isFailing)),
  )
  await other.run(100, { east: 1, west: 0 })
  const east = other.total
  await other.exhaust(['east', 'west'])
  t.diagnostic(`of 200, ${east} were admitted in one data center and ${other.total} over both`)
  assert.ok(other.total >= 200 && other.of('west') < 200, `${other.total}`)
})

test('counted: what a Redis has lost comes back from the nodes and from the other data center', async (t) => {
  const bed = await startBed(t, ['east', 'west'])
  if (bed === null) return
  const load = new Load(bed, 'counted', 'lost', 400)
  await load.run(80, { east: 1, west: 1 })
  await sleep(HEARD_MS)
  assert.ok(load.total < 400, `${load.total} before the loss`)
  await bed.places[0]!.redis.restartEmpty()
  await load.exhaust(['east', 'west'])
  t.diagnostic(`of 400 were admitted ${load.total}`)
  assert.deepEqual(load.late(400), [])
})

test('leased: the limit is never passed, whatever the split, and is used up where it is asked for', async (t) => {
  const bed = await startBed(t, ['east', 'north', 'west'])
  if (bed === null) return
  for (let run = 0; run < effort(1, 8); run++) {
    for (const [index, split] of [...SPLITS, { north: 1 }].entries()) {
      const limit = 91 + index
      const load = new Load(bed, 'leased', `share${run}/${index}`, limit)
      await load.run(150, split)
      assert.ok(load.total <= limit, `${load.total} of ${limit}`)
      await load.exhaust(Object.entries(split).flatMap(([name, share]) => (share > 0 ? [name] : [])))
      assert.equal(load.total, limit)
    }
  }
})

test('leased: the limit is not passed under partition, and what is left elsewhere comes when it has healed', async (t) => {
  const bed = await startBed(t, ['east', 'west'])
  if (bed === null) return
  const load = new Load(bed, 'leased', 'cut', 200)
  await load.run(100, { east: 1, west: 0 })
  bed.cut()
  await load.exhaust(['east'])
  const apart = load.total
  assert.ok(apart < 200, `${apart} while cut off`)
  await load.run(50, { east: 1, west: 0.5 })
  bed.heal()
  await load.exhaust(['east'])
  t.diagnostic(`of 200, ${apart} were admitted in one data center while cut off`)
  await load.exhaust(['east', 'west'])
  assert.equal(load.total, 200)
})

test('leased: a Redis that was emptied admits nothing of windows of before until the others said what it had', async (t) => {
  const bed = await startBed(t, ['east', 'west'])
  if (bed === null) return
  const load = new Load(bed, 'leased', 'lost', 100)
  await load.run(200, { east: 1, west: 1 })
  await sleep(HEARD_MS)
  const [east] = bed.places as [DataCenterBed['places'][number]]
  bed.cut()
  await east.redis.restartEmpty()
  bed.restartNodes('east')
  const before = load.of('east')
  await load.run(400, { east: 1, west: 0 })
  assert.equal(load.of('east'), before, 'nobody can say what it may admit')
  bed.heal()
  await load.exhaust(['east', 'west'])
  assert.equal(load.total, 100)
})

/** The master is killed under load when the replica has not heard of it for a while; resolves when that has taken over. */
async function failOver(load: Load, bed: DataCenterBed): Promise<{ readonly unseen: number; readonly lost: number }> {
  const { failOver, redis } = bed.places[0]!
  const [, replica] = failOver!.sentinels.data
  const before = load.of('east')
  failOver!.lag()
  await waitUntil('something is admitted that the replica misses', () => load.of('east') > before + 50)
  await failOver!.killMaster()
  const [unseen, known] = [load.unseen('east'), load.of('east')]
  const [key] = await replica!.client.keys(WINDOWS[load.mode])
  const lost = known - Number(await replica!.client.hget(key!, 'k'))
  await waitUntil('the replica has taken over', async () => (await failOver!.sentinels.master()) !== redis)
  return { unseen, lost }
}

test('counted: a fail-over that loses the last moments admits on top what a node had not seen of them', async (t) => {
  if (!isFullEffort()) return t.skip('part of npm run test:fault')
  const bed = await startBed(t, ['east', 'west'], { withSentinel: ['east'] })
  if (bed === null) return
  const limit = 1000
  const load = new Load(bed, 'counted', 'failover', limit)
  const running = load.run(5000, { east: 1, west: 0 })
  await sleep(200)
  const { unseen, lost } = await failOver(load, bed)
  assert.ok(load.total < limit, `${load.total} before the limit is reached`)
  await running
  await load.exhaust(['east'])
  t.diagnostic(`of ${limit} were admitted ${load.total}; the replica had missed ${lost}, a node had not seen ${unseen}`)
  assert.ok(lost > 40, `${lost} were lost`)
  assert.ok(load.total <= limit + unseen, `${load.total} of ${limit}, ${unseen} not seen`)
  assert.ok(load.total >= limit - bed.nodes.length, `${load.total} of ${limit}`)
})

test('leased: a fail-over that loses the last moments admits on top only what was given in them', async (t) => {
  if (!isFullEffort()) return t.skip('part of npm run test:fault')
  const bed = await startBed(t, ['east', 'west'], { withSentinel: ['east'] })
  if (bed === null) return
  const limit = 1000
  const load = new Load(bed, 'leased', 'failover', limit)
  const running = load.run(5000, { east: 1, west: 0.2 })
  await sleep(200)
  const { unseen, lost } = await failOver(load, bed)
  await running
  await load.exhaust(['east', 'west'])
  const [key] = await bed.places[1]!.redis.client.keys(WINDOWS.leased)
  const given = Number((await bed.places[1]!.redis.client.hget(key!, '>east.west')) ?? 0)
  t.diagnostic(
    `of ${limit} were admitted ${load.total}; the replica had missed ${lost}, a node had not seen ${unseen}, ${given} were ever given`,
  )
  assert.ok(lost > 40, `${lost} were lost`)
  assert.ok(load.total <= limit + unseen + given, `${load.total} of ${limit}`)
  assert.ok(load.total >= limit - bed.nodes.length, `${load.total} of ${limit}`)
})

test('keys have a time to live whatever is killed when, also where Redis keeps its data', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  const bed = await DataCenterBed.start(program, ['east', 'west'], 2, {
    lines: ['appendonly yes', 'appendfsync always'],
  })
  t.after(() => bed[Symbol.asyncDispose]())
  for (let run = 0; run < effort(2, 30); run++) {
    const loads = [new Load(bed, 'counted', `c${run}`, 1000), new Load(bed, 'leased', `l${run}`, 1000)]
    const running = Promise.all(loads.map((load) => load.run(250, { east: 1, west: 1 })))
    await sleep(50 + Math.random() * 100)
    const { redis } = bed.places[run % 2]!
    await redis.kill()
    await redis.start()
    await running
    assert.deepEqual(await bed.keysForGood(), [])
    assert.ok((await redis.client.dbsize()) > 0)
  }
})
