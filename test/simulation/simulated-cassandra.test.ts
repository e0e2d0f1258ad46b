import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CassandraPort, Table, TableRow } from '#store/cassandra/port.ts'
import { NO_FAULTS } from './network.ts'
import { Random } from './random.ts'
import type { Client } from './requests.ts'
import { SimulatedCassandra, type ClusterOptions } from './simulated-cassandra.ts'
import { VirtualTime } from './virtual-time.ts'

const table: Table = {
  name: 'things',
  partition: { place: 'text' },
  clustering: { id: 'int' },
  columns: { text: 'text' },
}
const LWT = { serial: 'SERIAL', commit: 'QUORUM' } as const
const LOCAL_LWT = { serial: 'LOCAL_SERIAL', commit: 'LOCAL_QUORUM' } as const
const here = { partition: { place: 'here' }, limit: 100 }

interface Bed {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: SimulatedCassandra
  readonly clients: readonly [Client, Client]
  readonly one: CassandraPort
  readonly other: CassandraPort
}

function bed(seed = 1, options: Partial<ClusterOptions> = {}): Bed {
  const time = new VirtualTime()
  const random = new Random(seed)
  const cluster = new SimulatedCassandra({ time, random, topology: { dc1: 3, dc2: 3 }, ...options })
  const client = (dataCenter: string): Client => ({
    name: dataCenter,
    dataCenter,
    skewMs: 0,
    isAlive: true,
    isCutOff: false,
  })
  const clients = [client('dc1'), client('dc2')] as const
  return { time, random, cluster, clients, one: cluster.port(clients[0]), other: cluster.port(clients[1]) }
}

function thing(id: number, text: string): TableRow {
  return { place: 'here', id, text }
}

/** Runs the same with many seeds. */
async function withSeeds(count: number, work: (seed: number) => Promise<void>): Promise<void> {
  for (let seed = 1; seed <= count; seed++) await work(seed)
}

test('what a local quorum acknowledged every local quorum reads, whatever is lost and late', async () => {
  await withSeeds(100, async (seed) => {
    const { time, cluster, one } = bed(seed)
    cluster.network.faults = { ...NO_FAULTS, lost: 0.1, hintLost: 0.5, late: 0.2, twice: 0.2 }
    await time.run(async () => {
      const isAcknowledged = await one.insert(table, thing(1, 'a'), { consistency: 'LOCAL_QUORUM' }).then(
        () => true,
        () => false,
      )
      if (!isAcknowledged) return
      const replicas = cluster.replication.in('dc1')
      for (const left of replicas) {
        const rest = replicas.filter((replica) => replica !== left)
        assert.equal(cluster.peek(table, here, rest).length, 1)
      }
    })
  })
})

test('levels want as many replicas as their name says', async () => {
  const { time, cluster, one } = bed()
  await time.run(async () => {
    for (const replica of cluster.replication.in('dc2')) replica.isUp = false
    const write = (consistency: 'LOCAL_QUORUM' | 'QUORUM' | 'EACH_QUORUM') =>
      one.insert(table, thing(1, 'a'), { consistency })
    await write('LOCAL_QUORUM')
    const unavailable = { reason: 'unavailable', isSettled: true }
    await assert.rejects(write('QUORUM'), unavailable)
    await assert.rejects(write('EACH_QUORUM'), unavailable)
    await assert.rejects(one.insertIfAbsent(table, thing(2, 'b'), LWT), unavailable)
    assert.deepEqual(await one.insertIfAbsent(table, thing(2, 'b'), LOCAL_LWT), { isApplied: true })
    for (const replica of cluster.replication.in('dc1')) replica.isUp = false
    await assert.rejects(write('LOCAL_QUORUM'), { reason: 'unreachable', isSettled: true })
  })
})

test('a replica that was away gets what it missed by hints', async () => {
  const { time, cluster, one } = bed()
  await time.run(async () => {
    const [away] = cluster.replication.in('dc1')
    assert.ok(away)
    away.isUp = false
    await one.insert(table, thing(1, 'a'), { consistency: 'LOCAL_QUORUM' })
    away.isUp = true
    assert.equal(cluster.peek(table, here, [away]).length, 0)
    await time.delay(10_000)
    assert.equal(cluster.peek(table, here, [away]).length, 1)
  })
})

test('a read repairs the replicas that it asked', async () => {
  const { time, cluster, one } = bed(1, { topology: { dc1: 3 }, readRepair: 1 })
  cluster.network.faults = { ...NO_FAULTS, hintLost: 1 }
  await time.run(async () => {
    const [away] = cluster.replication.in('dc1')
    assert.ok(away)
    away.isUp = false
    await one.insert(table, thing(1, 'a'), { consistency: 'QUORUM' })
    away.isUp = true
    for (let read = 0; read < 20; read++) await one.select(table, { ...here, consistency: 'LOCAL_QUORUM' })
    assert.equal(cluster.peek(table, here, [away]).length, 1)
  })
})

test('of many that want one row a single one gets it, and all are told the same', async () => {
  await withSeeds(60, async (seed) => {
    const { time, random, cluster, one, other } = bed(seed, { skewMs: 60_000 })
    cluster.network.faults = { ...NO_FAULTS, lost: 0.02, late: 0.1, requestLate: 0.1, diesDecided: 0.1, stuck: 0.1 }
    const applied: string[] = []
    const told = new Set<unknown>()
    await time.run(async () => {
      const contender = async (name: string) => {
        await time.delay(random.next() * 2000)
        try {
          const result = await random.pick([one, other]).insertIfAbsent(table, thing(1, name), LWT)
          if (result.isApplied) applied.push(name)
          else told.add(result.row?.text)
        } catch {
          // An open outcome says nothing.
        }
      }
      await Promise.all(Array.from({ length: 8 }, (_, index) => contender(`c${index}`)))
      cluster.network.faults = NO_FAULTS
      await time.delay(10_000)
      for (const name of applied) told.add(name)
      for (const port of [one, other])
        for (const row of await port.select(table, { ...here, consistency: 'SERIAL' })) told.add(row.text)
    })
    assert.ok(applied.length <= 1, `seed ${seed}: ${applied.join(', ')} were applied`)
    assert.ok(told.size <= 1, `seed ${seed}: told ${[...told].join(', ')}`)
  })
})

test('two serial domains on one partition do not see each other', async () => {
  const { time, one, other } = bed()
  await time.run(async () => {
    const results = await Promise.all(
      [one, other].map((port, index) => port.insertIfAbsent(table, thing(1, `c${index}`), LOCAL_LWT)),
    )
    assert.deepEqual(results, [{ isApplied: true }, { isApplied: true }])
  })
})

test('what was decided by a coordinator that died no plain read shows, until a serial read finishes it', async () => {
  const { time, cluster, one } = bed()
  await time.run(async () => {
    cluster.network.faults = { ...NO_FAULTS, diesDecided: 1 }
    const open = { reason: 'timeout', isSettled: false }
    await assert.rejects(one.insertIfAbsent(table, thing(1, 'a'), LWT), open)
    cluster.network.faults = NO_FAULTS
    await time.delay(60_000)
    for (const consistency of ['LOCAL_ONE', 'LOCAL_QUORUM', 'QUORUM', 'EACH_QUORUM'] as const)
      assert.deepEqual(await one.select(table, { ...here, consistency }), [])
    assert.deepEqual(await one.select(table, { ...here, consistency: 'SERIAL' }), [thing(1, 'a')])
    assert.deepEqual(await one.select(table, { ...here, consistency: 'QUORUM' }), [thing(1, 'a')])
  })
})

test('the next transaction finishes what was decided, and sees it', async () => {
  const { time, cluster, one, other } = bed()
  await time.run(async () => {
    cluster.network.faults = { ...NO_FAULTS, diesDecided: 1 }
    await assert.rejects(one.insertIfAbsent(table, thing(1, 'a'), LWT))
    cluster.network.faults = NO_FAULTS
    assert.deepEqual(await other.insertIfAbsent(table, thing(1, 'b'), LWT), { isApplied: false, row: thing(1, 'a') })
  })
})

test('a commit that too few replicas are left for is decided all the same', async () => {
  const { time, cluster, one } = bed()
  cluster.onDecided = () => {
    for (const replica of cluster.replication.replicas.slice(2)) replica.isUp = false
  }
  await time.run(async () => {
    await assert.rejects(one.insertIfAbsent(table, thing(1, 'a'), LWT), { reason: 'unavailable', isSettled: false })
    for (const replica of cluster.replication.replicas) replica.isUp = true
    assert.equal((await one.select(table, { ...here, consistency: 'SERIAL' })).length, 1)
  })
})

test('a request runs though its client has given up', async () => {
  const late: number[] = []
  await withSeeds(40, async (seed) => {
    const { time, cluster, one } = bed(seed)
    cluster.network.faults = { ...NO_FAULTS, requestLate: 1 }
    let decidedAtMs = Infinity
    cluster.onDecided = () => (decidedAtMs = time.nowMs)
    await time.run(async () => {
      const isOpen = await one.insertIfAbsent(table, thing(1, 'a'), LWT).then(
        () => false,
        () => true,
      )
      const givenUpAtMs = time.nowMs
      await time.delay(10_000)
      if (isOpen && decidedAtMs > givenUpAtMs) late.push(seed)
    })
  })
  assert.ok(late.length > 5, `expected some requests to run late, got ${late.length}`)
})

test('nothing goes on in a client that died, and what it sent arrives', async () => {
  const { time, cluster, clients, one } = bed()
  await time.run(async () => {
    let isAnswered = false
    const count = () => (isAnswered = true)
    void one.insert(table, thing(1, 'a'), { consistency: 'QUORUM' }).then(count, count)
    await time.delay(1)
    clients[0].isAlive = false
    await time.delay(10_000)
    assert.equal(isAnswered, false)
    assert.equal(cluster.peek(table, here).length, 1)
  })
})

test('writes without a timestamp take the clock of who writes, right or wrong', async () => {
  const { time, clients, one, other } = bed()
  clients[0].skewMs = 60_000
  await time.run(async () => {
    await one.insert(table, thing(1, 'from the future'), { consistency: 'EACH_QUORUM' })
    await time.delay(1000)
    await other.insert(table, thing(1, 'later'), { consistency: 'EACH_QUORUM' })
    const [row] = await one.select(table, { ...here, consistency: 'EACH_QUORUM' })
    assert.equal(row?.text, 'from the future')
  })
})

test('between data centers that are cut from each other no quorum of all is left', async () => {
  const { time, cluster, one, other } = bed()
  await time.run(async () => {
    cluster.network.cut('dc1', 'dc2')
    for (const port of [one, other]) {
      await assert.rejects(port.insertIfAbsent(table, thing(1, 'a'), LWT), { reason: 'unavailable' })
      await port.insert(table, thing(2, 'b'), { consistency: 'LOCAL_QUORUM' })
    }
    cluster.network.heal('dc1', 'dc2')
    assert.deepEqual(await one.insertIfAbsent(table, thing(1, 'a'), LWT), { isApplied: true })
  })
})

test('the same seed is the same run', async () => {
  const run = async () => {
    const { time, random, cluster, one, other } = bed(7)
    cluster.network.faults = { ...NO_FAULTS, lost: 0.1, late: 0.2, twice: 0.2, stuck: 0.2 }
    const seen: unknown[] = []
    await time.run(async () => {
      for (let index = 0; index < 30; index++) {
        const port = random.pick([one, other])
        const result = await port.insertIfAbsent(table, thing(index % 5, `t${index}`), LWT).catch(String)
        seen.push([time.nowMs, time.events, result])
      }
    })
    return seen
  }
  assert.deepEqual(await run(), await run())
})
