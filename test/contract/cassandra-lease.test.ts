import assert from 'node:assert/strict'
import { test } from 'node:test'
import { acquireLease, leaseHolder, LEASES, type LeaseOptions } from '#store/cassandra/lease.ts'
import { CassandraFailure, type CassandraPort } from '#store/cassandra/port.ts'
import { MapPort } from '../support/map-port.ts'

const LEASE_MS = 1000

/** A cluster, and a clock that goes on only while somebody waits. */
function bed() {
  const port = new MapPort()
  const clock = { ms: 0 }
  const told: string[] = []
  const optionsFor = (holder: string, given: Partial<LeaseOptions> = {}): LeaseOptions => ({
    port,
    name: 'l',
    holder,
    leaseMs: LEASE_MS,
    conditional: { serial: 'SERIAL', commit: 'QUORUM' },
    monotonicMs: () => clock.ms,
    nowMs: () => clock.ms,
    delay: async (ms) => void (clock.ms += ms),
    observer: {
      waits: (other) => void told.push(`${holder} waits for ${other.holder}`),
      takesOver: (other) => void told.push(`${holder} takes over from ${other.holder} after ${other.ageMs}`),
    },
    ...given,
  })
  return { port, clock, told, optionsFor }
}

test('a lease has one holder, and the next one after it gave it back, with a greater fence', async () => {
  const { optionsFor, told } = bed()
  const first = await acquireLease(optionsFor('a'), 0)
  assert.ok(first)
  assert.equal(await acquireLease(optionsFor('b'), 0), null)
  assert.deepEqual(await leaseHolder(optionsFor('x')), { holder: 'a', ageMs: 0 })
  await first.release()
  assert.equal(await leaseHolder(optionsFor('x')), null)
  const second = await acquireLease(optionsFor('b'), 0)
  assert.ok(second && second.fence > first.fence)
  assert.equal(await first.renew(), false)
  assert.deepEqual(told, ['b waits for a'])
})

test('it is taken over from who was silent for as long as a lease lasts, and not from who renews', async () => {
  const { optionsFor, clock, told } = bed()
  const first = await acquireLease(optionsFor('a'), 0)
  assert.ok(first)
  let renewals = 3
  const delay = async (ms: number) => {
    clock.ms += ms
    if (renewals-- > 0) assert.equal(await first.renew(), true)
  }
  const second = await acquireLease(optionsFor('b', { delay }), 60_000)
  assert.ok(second)
  assert.deepEqual(told, ['b waits for a', 'b takes over from a after 1000'])
  assert.equal(await first.renew(), false)
  assert.equal(await second.renew(), true)
  // Who lost it can't give away what is another's.
  await first.release()
  assert.deepEqual(await leaseHolder(optionsFor('x')), { holder: 'b', ageMs: 0 })
})

test('clocks that are wrong by hours change nothing', async () => {
  const { optionsFor, clock } = bed()
  const first = await acquireLease(optionsFor('a', { nowMs: () => -7_200_000 }), 0)
  assert.ok(first)
  assert.equal(await acquireLease(optionsFor('b', { nowMs: () => clock.ms + 7_200_000 }), LEASE_MS / 2), null)
  assert.equal(await first.renew(), true)
})

for (const isDone of [true, false]) {
  test(`answers that are lost ${isDone ? 'after' : 'before'} the statement was done leave one holder that knows it`, async () => {
    const { port, optionsFor } = bed()
    const losing = losingEverySecondAnswer(port, isDone)
    const lease = await acquireLease(optionsFor('a', { port: losing }), 0)
    assert.ok(lease)
    for (let count = 0; count < 4; count++) assert.equal(await lease.renew(), true)
    assert.equal(await acquireLease(optionsFor('b'), 0), null)
    await lease.release()
    assert.equal(await leaseHolder(optionsFor('x')), null)
  })
}

test('what Cassandra refuses is told', async () => {
  const { port, optionsFor } = bed()
  port.failure = new CassandraFailure('unavailable', 'no majority', true)
  await assert.rejects(acquireLease(optionsFor('a'), 60_000), /no majority/)
})

function losingEverySecondAnswer(port: CassandraPort, isDone: boolean): CassandraPort {
  let count = 0
  const lose = async <T>(work: () => Promise<T>): Promise<T> => {
    if (count++ % 2 === 1) return await work()
    if (isDone) await work()
    throw new CassandraFailure('timeout', 'no answer', false)
  }
  return {
    select: (...given) => port.select(...given),
    insert: (...given) => port.insert(...given),
    insertAll: (...given) => port.insertAll(...given),
    insertIfAbsent: (table, ...given) => {
      assert.equal(table, LEASES)
      return lose(() => port.insertIfAbsent(table, ...given))
    },
    replaceIf: (...given) => lose(() => port.replaceIf(...given)),
    deleteIfPresent: (...given) => port.deleteIfPresent(...given),
  }
}
