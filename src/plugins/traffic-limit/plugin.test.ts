import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange, Exit } from '#pdk'
import {
  completeConfig,
  BARE_NODE,
  fakeExchange,
  FakeEntities,
  FakeMetrics,
  FakeRedis,
  headersOf,
  prepare,
} from '#pdk/testing'
import type { FakeExchangeOptions } from '#pdk/testing'
import { trafficLimit } from './plugin.ts'
import { LimitWindows } from './windows.ts'

const START = Date.parse('2030-01-01T00:00:00Z')
const MINUTE = [{ limit: 2, window: 'minute' }]

function setUp(config: object, entities: FakeEntities = new FakeEntities()) {
  const redis = new FakeRedis()
  const metrics = new FakeMetrics()
  const state = prepare(trafficLimit, config, { redis, metrics, entities })
  const ask = async (options: FakeExchangeOptions = {}) => {
    const exchange = fakeExchange({ now: START, ...options })
    const exit = (await trafficLimit.access!(exchange, state)) as Exit | undefined
    return answered(exchange, exit)
  }
  const answered = (exchange: Exchange, exit: Exit | undefined) => {
    exchange.response.source = exit === undefined ? 'service' : 'exit'
    trafficLimit.responseHeaders!(exchange, state)
    const { message = null, status = 200 } = exit ?? {}
    return { exchange, status, message, headers: headersOf(exchange.response.headers) }
  }
  return { ask, redis, metrics, state }
}

test('refuses what is over a limit, and says how long to wait in both forms', async () => {
  const { ask, metrics } = setUp({ limits: [...MINUTE, { limit: 10, window: 'day', name: 'daily' }] })
  assert.deepEqual((await ask({ now: START + 10_500 })).headers, {
    'x-ratelimit-limit-minute': '2',
    'x-ratelimit-remaining-minute': '1',
    'x-ratelimit-limit-daily': '10',
    'x-ratelimit-remaining-daily': '9',
    'ratelimit-limit': '2',
    'ratelimit-remaining': '1',
    'ratelimit-reset': '50',
    'ratelimit-policy': '"minute";q=2;w=60, "daily";q=10;w=86400',
    ratelimit: '"minute";r=1;t=50, "daily";r=9;t=86390',
  })
  await ask()
  const refused = await ask({ now: START + 20_000 })
  assert.equal(refused.status, 429)
  assert.equal(refused.message, 'API rate limit exceeded')
  assert.equal(refused.headers['retry-after'], '40')
  assert.equal(refused.headers['ratelimit-remaining'], '0')
  assert.deepEqual(metrics.limits, ['minute enforced'])
  assert.deepEqual(refused.exchange.logFields, { traffic_limit: { refused_by: 'minute', tier: '', shadow: false } })
  // What is refused counts nowhere.
  assert.equal((await ask({ now: START + 60_000 })).headers['x-ratelimit-remaining-daily'], '7')
})

test('a bucket lets a burst through and then one at a time', async () => {
  const { ask } = setUp({ limits: [{ limit: 60, window: 'minute', algorithm: 'bucket', burst: 3 }] })
  for (let i = 0; i < 3; i++) assert.equal((await ask()).status, 200)
  const refused = await ask()
  assert.equal(refused.status, 429)
  assert.equal(refused.headers['retry-after'], '1')
  assert.equal(refused.headers['ratelimit-policy'], '"minute";q=3;w=60')
  assert.equal((await ask({ now: START + 1000 })).status, 200)
  assert.equal((await ask({ now: START + 1000 })).status, 429)
})

test('counts what a request costs: a number, by a header, and by the answer', async () => {
  const { ask } = setUp({
    limits: [{ limit: 20, window: 'hour' }],
    cost: 2,
    cost_header: 'X-Cost',
    cost_response_header: 'X-Units',
  })
  const remaining = async (options: FakeExchangeOptions) => (await ask(options)).headers['ratelimit-remaining']
  assert.equal(await remaining({}), '18')
  assert.equal(await remaining({ headers: { 'X-Cost': '5' } }), '13')
  assert.equal(await remaining({ headers: { 'X-Cost': '-5' } }), '11')
  const counted = await ask({ response: { headers: { 'X-Units': '4' } } })
  assert.equal(counted.headers['x-units'], undefined)
  assert.equal(counted.headers['ratelimit-remaining'], '9')
  assert.equal(await remaining({}), '5')
  assert.equal((await ask({ headers: { 'X-Cost': '6' } })).status, 429)
})

test('in the shadow nobody is refused or told, and it is known who would have been', async () => {
  const { ask, metrics } = setUp({ limits: MINUTE, shadow: true })
  for (let i = 0; i < 2; i++) await ask()
  const { status, headers, exchange } = await ask()
  assert.deepEqual([status, headers], [200, {}])
  assert.deepEqual(exchange.logFields, { traffic_limit: { refused_by: 'minute', tier: '', shadow: true } })
  assert.deepEqual(metrics.limits, ['minute shadow'])
})

const GROUPS = {
  consumer_groups: [
    { id: 'g1', name: 'gold' },
    { id: 'g2', name: 'silver' },
  ],
  consumer_group_consumers: [
    { id: 'm1', consumer_group: { id: 'g1' }, consumer: { id: 'anna' } },
    { id: 'm2', consumer_group: { id: 'g2' }, consumer: { id: 'ben' } },
    { id: 'm3', consumer_group: { id: 'g2' }, consumer: { id: 'carl' } },
  ],
}
const tiers = [
  { consumer_group: 'gold', limits: [{ limit: 9, window: 'minute' }] },
  { consumer_group: 'g2', limits: [{ limit: 5, window: 'minute' }] },
]

for (const mode of ['sync', 'async'] as const) {
  test(`consumers have the limits of their group, known ${mode === 'sync' ? 'already' : 'later'}`, async () => {
    const { ask } = setUp({ limits: MINUTE, tiers }, new FakeEntities(GROUPS, mode))
    const limit = async (id: string) => (await ask({ consumer: { id } })).headers['ratelimit-limit']
    assert.deepEqual([await limit('anna'), await limit('ben'), await limit('dora')], ['9', '5', '2'])
    assert.equal((await ask()).headers['ratelimit-limit'], '2')
  })
}

test('by group the members count together', async () => {
  const { ask } = setUp({ limits: MINUTE, limit_by: 'consumer-group' }, new FakeEntities(GROUPS))
  for (const id of ['ben', 'carl']) assert.equal((await ask({ consumer: { id } })).status, 200)
  assert.equal((await ask({ consumer: { id: 'ben' } })).status, 429)
  assert.equal((await ask({ consumer: { id: 'anna' } })).status, 200)
})

test('a store that can not be asked for groups is no reason to let everybody through', async () => {
  const { ask } = setUp({ limits: MINUTE, tiers }, new FakeEntities(GROUPS, 'unavailable'))
  assert.equal((await ask({ consumer: { id: 'anna' } })).status, 503)
})

test('asks for what is configured, closes it, and fails closed where nobody may decide', async () => {
  const { ask, redis, state } = setUp({
    limits: MINUTE,
    policy: 'redis',
    redis: { host: 'limits' },
    fault_tolerant: false,
  })
  const [{ options, limiter }] = redis.limiters as [(typeof redis.limiters)[number]]
  assert.deepEqual(
    [options.policy, options.redis.host, options.syncRate, options.consistency, options.isFaultTolerant],
    ['redis', 'limits', -1, null, false],
  )
  limiter.isGone = true
  assert.equal((await ask()).status, 500)
  trafficLimit.close!(state)
  assert.equal(limiter.isClosed, true)
})

const centers = { ...BARE_NODE, hasDataCenters: true, canLease: true }
const leased = { policy: 'redis', consistency: 'leased' }
const WRONG: readonly [object, string, object?][] = [
  [{ limits: [{ limit: 1, window: 'week' }] }, 'limits.0.window'],
  [{ limits: [{ limit: 1, window: '31622401s' }] }, 'limits.0.window'],
  [{ limits: [...MINUTE, { limit: 3, window: 'minute' }] }, 'limits.1.name'],
  [{ limits: [{ limit: 1, window: 'day', burst: 3 }] }, 'limits.0.burst'],
  [{ limits: [{ limit: 1, window: 'day', name: 'a b' }] }, 'limits.0.name'],
  [
    { limits: MINUTE, tiers: [{ consumer_group: 'g', limits: [{ limit: 1, window: 'x' }] }] },
    'tiers.0.limits.0.window',
  ],
  [{ limits: MINUTE, limit_by: 'header' }, 'header_name'],
  [{ limits: MINUTE, limit_by: 'path' }, 'path'],
  [{ limits: MINUTE, policy: 'redis' }, 'redis.host'],
  [{ limits: MINUTE, sync_rate: 1 }, 'sync_rate'],
  [{ limits: MINUTE, policy: 'redis', redis: { host: 'a' }, sync_rate: 0.01 }, 'sync_rate'],
  [{ limits: MINUTE, consistency: 'counted' }, 'consistency'],
  [{ limits: MINUTE, policy: 'redis', redis: { host: 'a' }, consistency: 'counted' }, 'consistency'],
  [{ limits: [{ limit: 1, window: 'day', algorithm: 'sliding' }], ...leased }, 'consistency', centers],
  [{ limits: [{ limit: 1.5, window: 'day' }], ...leased }, 'consistency', centers],
  [{ limits: MINUTE, ...leased }, 'consistency', { ...centers, canLease: false }],
  [{ limits: MINUTE, ...leased, sync_rate: 1 }, 'sync_rate', centers],
]

for (const [config, field, node] of WRONG) {
  test(`refuses ${JSON.stringify(config)} for its ${field}`, () => {
    assert.throws(() => completeConfig(trafficLimit, config, { ...BARE_NODE, ...node }), {
      code: 'CONFIG_INVALID',
      field,
    })
  })
}

test('takes shares of limits where data centers have a Redis each', () => {
  assert.equal(completeConfig(trafficLimit, { limits: MINUTE, ...leased }, centers).consistency, 'leased')
})

test('windows follow the calendar, and another algorithm counts apart', () => {
  const at = (limit: object, when: string) =>
    new LimitWindows([{ limit: 1, window: 'month', algorithm: 'fixed', burst: null, name: null, ...limit }]).at(
      Date.parse(when),
    )[0]!
  const february = at({}, '2028-02-29T12:00:00Z')
  assert.deepEqual(
    [february.startMs, february.endMs].map((ms) => new Date(ms).toISOString()),
    ['2028-02-01T00:00:00.000Z', '2028-03-01T00:00:00.000Z'],
  )
  assert.equal(
    at({ algorithm: 'sliding' }, '2028-03-31T00:00:00Z').previousSuffix,
    at({ algorithm: 'sliding' }, '2028-02-02T00:00:00Z').keySuffix,
  )
  assert.notEqual(at({ algorithm: 'sliding' }, '2028-02-02T00:00:00Z').keySuffix, february.keySuffix)
  // Longer than from one window of the calendar to the end of the next.
  assert.ok(at({ algorithm: 'sliding' }, '2028-02-02T00:00:00Z').keptUntilMs > Date.parse('2028-03-31T23:59:59Z'))
})
