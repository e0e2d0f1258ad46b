/** Whatever decides over limits, in memory or in Redis, decides as the slow and obvious one does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ClusterCounters, createClusterCounterBuffers } from '#cluster/cluster-counters.ts'
import { LeasedLimiter } from '#cluster/leased-limiter.ts'
import { createLocalCounters, sizeFor, type LocalCountersTable } from '#cluster/local-counters.ts'
import { MemoryLimiter, type SharedWindowCounters } from '#cluster/memory-limiter.ts'
import { RedisLimiter } from '#cluster/redis-limiter.ts'
import { RedisFailure, type RedisLink } from '#cluster/redis-link.ts'
import type { RedisScript } from '#cluster/redis-port.ts'
import type { Limiter } from '#model/limiter.ts'
import type { LimitWindow } from '#model/limit-window.ts'
import { FakeLimiter } from '#pdk/fake-limiter.ts'
import { LimitWindows } from '#plugins/traffic-limit/windows.ts'
import { requirePart } from '../support/parts.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const DAY = 86_400_000

interface Clock {
  nowMs: number
}

const window = fc.constantFrom('second', 'minute', 'hour', 'day', 'month', 'year', '7s', '90s', '31622400s')
const limitOf = (algorithms: readonly ('fixed' | 'sliding' | 'bucket')[]) =>
  fc.record({
    limit: fc.integer({ min: 1, max: 12 }),
    window,
    algorithm: fc.constantFrom(...algorithms),
    burst: fc.constant(null),
    name: fc.constant(null),
  })
const several = (algorithms: readonly ('fixed' | 'sliding' | 'bucket')[]) =>
  fc.uniqueArray(limitOf(algorithms), { minLength: 1, maxLength: 3, selector: ({ window: one }) => one })
const steps = fc.array(
  fc.record({
    /** Time that passes before, often short, sometimes over a month or leap year. */
    passMs: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 400 }) },
      { weight: 2, arbitrary: fc.integer({ min: 0, max: 100_000 }) },
      { weight: 1, arbitrary: fc.constantFrom(DAY, 30 * DAY, 31 * DAY, 365 * DAY, 366 * DAY) },
    ),
    cost: fc.constantFrom(0, 1, 1, 1, 2, 3, 0.5),
    key: fc.constantFrom('a', 'b'),
    isAdded: fc.boolean(),
  }),
  { minLength: 1, maxLength: 25 },
)
/** Also around the end of February of a leap year. */
const begin = fc.constantFrom('2030-01-01T00:00:00Z', '2027-12-31T23:59:58Z', '2028-02-28T23:59:30Z')

type ValueOf<A> = A extends fc.Arbitrary<infer Value> ? Value : never
type Example = [ValueOf<ReturnType<typeof several>>, ValueOf<typeof steps>, string]
/** What was added to the window before is over the limit by itself, and the next request costs nothing. */
const FULL_BEFORE: Example = [
  [{ limit: 1, window: 'year', algorithm: 'sliding', burst: null, name: null }],
  [
    { passMs: 0, cost: 3, key: 'b', isAdded: true },
    { passMs: 0, cost: 3, key: 'b', isAdded: true },
    { passMs: 366 * DAY, cost: 0, key: 'b', isAdded: false },
  ],
  '2030-01-01T00:00:00Z',
]

async function behavesAsTheModel(
  open: (clock: Clock) => Limiter | Promise<Limiter>,
  algorithms: readonly ('fixed' | 'sliding' | 'bucket')[],
  runs: number,
  /** Says of what is over a limit only that it is used up. */
  isCapped = false,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(several(algorithms), steps, begin, async (configured, all, from) => {
      const clock = { nowMs: Date.parse(from) }
      const limiter = await open(clock)
      const model = new FakeLimiter()
      const windows = new LimitWindows(configured)
      for (const { passMs, cost, key, isAdded } of all) {
        clock.nowMs += passMs
        const at = windows.at(clock.nowMs)
        if (isAdded && cost >= 3) {
          limiter.add(key, 1, at, clock.nowMs)
          model.add(key, 1, at, clock.nowMs)
          // Nobody waits for it; what is asked next is behind it.
          continue
        }
        const decision = await limiter.take(key, cost, at, clock.nowMs)
        const wanted = model.take(key, cost, at, clock.nowMs)
        assert.equal(decision?.refusedBy, wanted?.refusedBy)
        for (const [index, used] of (wanted?.used ?? []).entries()) {
          const most = isCapped ? at[index]!.most : Infinity
          const found = Math.min(most, decision!.used[index]!)
          assert.ok(Math.abs(found - Math.min(most, used)) < 1e-3, `used: ${found} instead of ${used}`)
        }
      }
      // Behind what was added last, which nobody waited for.
      await limiter.take('c', 0, windows.at(clock.nowMs), clock.nowMs)
      limiter.close()
    }),
    { numRuns: runs, examples: algorithms.includes('sliding') ? [FULL_BEFORE] : [] },
  )
}

const table = (clock: Clock): LocalCountersTable =>
  createLocalCounters(new SharedArrayBuffer(sizeFor(500)), { now: () => clock.nowMs })
const ALL = ['fixed', 'sliding', 'bucket'] as const

test('a node by itself decides as the model', async () => {
  await behavesAsTheModel(
    (clock) => new MemoryLimiter({ table: table(clock), shared: null, nodes: () => 1, isFaultTolerant: true }),
    ALL,
    300,
  )
})

test('a node that exchanges counts with nobody decides as the model', async () => {
  await behavesAsTheModel(
    (clock) =>
      new MemoryLimiter({ table: table(clock), shared: sharedAlone(clock), nodes: () => 3, isFaultTolerant: true }),
    ALL,
    300,
  )
})

test('Redis decides as the model', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using redis = await startRedis(program)
  let run = 0
  await behavesAsTheModel((clock) => inRedis(redis, clock, `r${++run}:`), ALL, 100)
  await t.test('and leaves no key for good', async () => assert.deepEqual(await redis.keysForGood(), []))
})

test('a data center that has the whole of a limit decides as the model', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using redis = await startRedis(program)
  // Before all windows: what began before a Redis is not known to it.
  await redis.client.set('birth', '0', 'PX', 3_600_000)
  let run = 0
  await behavesAsTheModel(
    (clock) =>
      new LeasedLimiter({
        ...redisOptions(redis, clock, `r${++run}:`),
        incarnation: 'east.node',
        dataCenters: { local: 'east', names: ['east'], profile: 'east', exchangeMs: 200 },
        birthKey: 'birth',
      }),
    ['fixed'],
    50,
  )
})

test('a node without Redis decides as the model where it is the only one', async () => {
  const link = { run: () => Promise.resolve(null), answersFor: () => false, onUp: () => () => undefined }
  await behavesAsTheModel((clock) => new RedisLimiter({ ...tables(clock, 'n:'), link, ...FIXED }), ALL, 300, true)
})

test('what one node took out of a bucket the other one finds missing, and what was taken twice is owed', async (t) => {
  const program = await requirePart(t, 'redis')
  if (program === null) return
  await using redis = await startRedis(program)
  const clock = { nowMs: Date.parse('2030-01-01T00:00:00Z') }
  const windows = new LimitWindows([{ limit: 60, window: 'minute', algorithm: 'bucket', burst: 10, name: null }])
  const at = () => windows.at(clock.nowMs)
  const [one, two] = [inRedis(redis, clock, 'b:'), inRedis(redis, clock, 'b:')]
  for (let i = 0; i < 5; i++) {
    assert.equal((await one.take('k', 1, at(), clock.nowMs))?.refusedBy, 0)
    assert.equal((await two.take('k', 1, at(), clock.nowMs))?.refusedBy, 0)
  }
  assert.equal((await one.take('k', 1, at(), clock.nowMs))?.refusedBy, 1)
  // What another data center counted comes as a row.
  const [name] = (await redis.client.keys('b:*')) as [string]
  await redis.client.hset(name, 'west.node', '4')
  clock.nowMs += 5000
  // Five came in, four were taken there.
  assert.equal((await one.take('k', 1, at(), clock.nowMs))?.refusedBy, 0)
  assert.equal((await one.take('k', 1, at(), clock.nowMs))?.refusedBy, 1)
})

const FIXED = { timesAlone: new Int32Array(1), nodes: () => 1, isFaultTolerant: true, note: ignore, release: ignore }

function ignore(): void {}

function tables(clock: Clock, keyPrefix: string) {
  return {
    own: table(clock),
    known: table(clock),
    name: '',
    incarnation: 'node',
    keyPrefix,
    now: () => clock.nowMs,
  }
}

function redisOptions(redis: RedisServer, clock: Clock, keyPrefix: string) {
  return { ...tables(clock, keyPrefix), ...FIXED, timesAlone: new Int32Array(1), link: linkTo(redis) }
}

/** Each with a memory of its own, as two nodes have. */
function inRedis(redis: RedisServer, clock: Clock, keyPrefix: string): RedisLimiter {
  const options = redisOptions(redis, clock, keyPrefix)
  return new RedisLimiter({ ...options, incarnation: `node${Math.random()}` })
}

/** Straight to Redis, without a breaker. */
function linkTo(redis: RedisServer): Pick<RedisLink, 'run' | 'answersFor' | 'onUp'> {
  return {
    answersFor: () => true,
    onUp: () => () => undefined,
    run: (script: RedisScript, keys, args) =>
      redis.client.eval(script.source, keys.length, ...keys, ...args).catch((error: Error) => {
        throw new Error(new RedisFailure('refused', error.message).message)
      }),
  }
}

function sharedAlone(clock: Clock): SharedWindowCounters {
  const buffers = createClusterCounterBuffers(500)
  const counters = new ClusterCounters({ buffers, tell: ignore, later: ignore, now: () => clock.nowMs })
  return {
    isSynced: true,
    add: (key, amount, expiresAtMs) => counters.add(key, amount, expiresAtMs),
    addUpTo: (key, amount, limit, expiresAtMs, startsAtMs) =>
      counters.addUpTo(key, amount, limit, expiresAtMs, startsAtMs),
    count: (key, amount, expiresAtMs, startsAtMs) => counters.count(key, amount, expiresAtMs, startsAtMs),
    read: (key) => counters.read(key),
    readOthers: (key) => counters.readOthers(key),
    close: ignore,
  }
}

/** Only where windows of the calendar differ in length. */
const WINDOWS: readonly [string, string, string, number][] = [
  ['month', '2028-01-15T00:00:00Z', '2028-01-31T23:59:59Z', 31],
  ['month', '2028-02-15T00:00:00Z', '2028-02-29T23:59:59Z', 29],
  ['year', '2028-01-01T00:00:00Z', '2028-12-31T23:59:59Z', 366],
  ['31622400s', '2030-01-01T00:00:00Z', '2030-01-01T00:00:01Z', 366],
]

for (const [name, from, until, days] of WINDOWS) {
  test(`a window of ${name} from ${from.slice(0, 10)} has ${days} days, in memory and in Redis`, async (t) => {
    const program = await requirePart(t, 'redis')
    if (program === null) return
    await using redis = await startRedis(program)
    await redis.client.set('birth', '0', 'PX', 3_600_000)
    const clock = { nowMs: Date.parse(from) }
    const windows = new LimitWindows([{ limit: 2, window: name, algorithm: 'fixed', burst: null, name: null }])
    const [only] = windows.at(clock.nowMs) as [LimitWindow]
    assert.equal((only.endMs - only.startMs) / DAY, days)
    const limiters: Limiter[] = [
      new MemoryLimiter({ table: table(clock), shared: null, nodes: () => 1, isFaultTolerant: true }),
      new MemoryLimiter({ table: table(clock), shared: sharedAlone(clock), nodes: () => 1, isFaultTolerant: true }),
      inRedis(redis, clock, 'w:'),
      new LeasedLimiter({
        ...redisOptions(redis, clock, 'l:'),
        incarnation: 'east.node',
        dataCenters: { local: 'east', names: ['east'], profile: 'east', exchangeMs: 200 },
        birthKey: 'birth',
      }),
    ]
    for (const limiter of limiters) {
      clock.nowMs = Date.parse(from)
      const ask = async () => (await limiter.take('k', 1, windows.at(clock.nowMs), clock.nowMs))?.refusedBy
      assert.deepEqual([await ask(), await ask(), await ask()], [0, 0, 1])
      clock.nowMs = Date.parse(until)
      assert.equal(await ask(), 1)
      clock.nowMs = only.endMs
      assert.equal(await ask(), 0)
    }
    const lives = await Promise.all((await redis.client.keys('*')).map((key) => redis.client.pttl(key)))
    assert.ok(
      lives.every((life) => life > 0 && life <= 367 * DAY),
      String(lives),
    )
  })
}
