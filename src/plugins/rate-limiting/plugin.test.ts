import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import {
  FakeClock,
  FakeCounters,
  FakeRedis,
  fakeExchange,
  headersOf,
  prepare,
  type FakeExchangeOptions,
} from '#pdk/testing'
import { rateLimiting } from './plugin.ts'

const START = '2030-05-17T10:20:30.400Z'

class Limited {
  readonly clock = new FakeClock(START)
  readonly counters = new FakeCounters(this.clock)
  readonly state

  constructor(
    config: object,
    scope: Partial<Record<'route' | 'service' | 'consumer' | 'consumerGroup', string>> = {},
    counters?: FakeCounters,
  ) {
    if (counters !== undefined) this.counters = counters
    const full = { route: null, service: null, consumer: null, consumerGroup: null, ...scope }
    this.state = prepare(rateLimiting, config, { counters: this.counters, scope: full })
  }

  /** Status of a refusal, or 0, and the headers of the response. */
  ask(request: FakeExchangeOptions = {}) {
    const exchange = fakeExchange({ now: this.clock.nowMs, ...request })
    const exit = (rateLimiting.access!(exchange, this.state) ?? null) as Exit | null
    rateLimiting.responseHeaders!(exchange, this.state)
    return { status: exit?.status ?? 0, message: exit?.message ?? null, headers: headersOf(exchange.response.headers) }
  }

  statuses(times: number, request: FakeExchangeOptions = {}): number[] {
    return Array.from({ length: times }, () => this.ask(request).status)
  }
}

test('admits as many as the limit, and tells how many are left and for how long', () => {
  const limited = new Limited({ minute: 2 })
  assert.deepEqual(limited.ask(), {
    status: 0,
    message: null,
    headers: {
      'x-ratelimit-limit-minute': '2',
      'x-ratelimit-remaining-minute': '1',
      'ratelimit-limit': '2',
      'ratelimit-remaining': '1',
      'ratelimit-reset': '30',
    },
  })
  assert.equal(limited.ask().headers['ratelimit-remaining'], '0')
  const refused = limited.ask()
  assert.deepEqual([refused.status, refused.message], [429, 'API rate limit exceeded'])
  assert.equal(refused.headers['retry-after'], '30')
  assert.equal(refused.headers['x-ratelimit-remaining-minute'], '0')
})

test('begins anew with the next period of the calendar', () => {
  const limited = new Limited({ minute: 1 })
  assert.deepEqual(limited.statuses(2), [0, 429])
  limited.clock.nowMs = Date.parse('2030-05-17T10:20:59.999Z')
  assert.equal(limited.ask().status, 429)
  limited.clock.advance(1)
  assert.deepEqual(limited.statuses(2), [0, 429])
})

test('a refused request counts nowhere', () => {
  const limited = new Limited({ minute: 2, hour: 3 })
  assert.deepEqual(limited.statuses(4), [0, 0, 429, 429])
  const { headers } = limited.ask()
  assert.equal(headers['x-ratelimit-remaining-hour'], '1')
  assert.equal(headers['x-ratelimit-remaining-minute'], '0')
  limited.clock.advance(60_000)
  assert.deepEqual(limited.statuses(3), [0, 429, 429])
  limited.clock.advance(60_000)
  assert.equal(
    limited.ask().headers['x-ratelimit-remaining-minute'],
    '2',
    'the hour is full, so the minute counts nothing',
  )
})

test('the general headers speak of the window with the fewest left, the longest of several', () => {
  const { headers } = new Limited({ second: 5, minute: 5, hour: 400 }).ask()
  assert.deepEqual(
    [headers['ratelimit-limit'], headers['ratelimit-remaining'], headers['ratelimit-reset']],
    ['5', '4', '30'],
  )
})

test("resets are at least a second, and for months and years of Kong's length", () => {
  const at = '2030-05-31T23:59:59.900Z'
  assert.equal(new Limited({ second: 1 }).ask({ now: at }).headers['ratelimit-reset'], '1')
  assert.equal(new Limited({ day: 1 }).ask({ now: at }).headers['ratelimit-reset'], '1')
  assert.equal(new Limited({ month: 1 }).ask({ now: at }).headers['ratelimit-reset'], '1')
  assert.equal(
    new Limited({ month: 1 }).ask({ now: '2030-05-02T00:00:00Z' }).headers['ratelimit-reset'],
    String(2_592_000 - 86_400),
  )
  assert.equal(new Limited({ year: 1 }).ask({ now: '2030-01-01T00:00:00Z' }).headers['ratelimit-reset'], '31536000')
})

test('hides the headers when told to, and still refuses', () => {
  const limited = new Limited({ minute: 1, hide_client_headers: true })
  assert.deepEqual(limited.ask().headers, {})
  assert.deepEqual(limited.ask(), { status: 429, message: 'API rate limit exceeded', headers: {} })
})

test('refuses with the configured status and text', () => {
  const limited = new Limited({ minute: 1, error_code: 503, error_message: 'slow down' })
  limited.ask()
  assert.partialDeepStrictEqual(limited.ask(), { status: 503, message: 'slow down' })
})

test('headers of the upstream with the same names are replaced', () => {
  const { headers } = new Limited({ minute: 2 }).ask({
    response: { headers: { 'RateLimit-Limit': '999', 'x-ratelimit-limit-minute': '999' } },
  })
  assert.equal(headers['ratelimit-limit'], '2')
  assert.equal(headers['x-ratelimit-limit-minute'], '2')
})

test('a limit that is not whole admits as long as the count is below it', () => {
  assert.deepEqual(new Limited({ minute: 1.5 }).statuses(3), [0, 0, 429])
})

const CREDENTIAL = { id: 'credential-1' }
const SOMEBODY: FakeExchangeOptions = {
  clientIp: '10.0.0.1',
  consumer: { id: 'consumer-1' },
  credential: CREDENTIAL,
  service: { id: 'service-1' },
  headers: { 'X-Team': 'red' },
  path: '/limited?x=1',
}
const OTHERS: readonly (readonly [
  limitBy: string,
  config: object,
  same: FakeExchangeOptions,
  other: FakeExchangeOptions,
])[] = [
  ['consumer', {}, { clientIp: '10.0.0.2', credential: { id: 'credential-2' } }, { consumer: { id: 'consumer-2' } }],
  ['credential', {}, { consumer: { id: 'consumer-2' } }, { credential: { id: 'credential-2' } }],
  ['ip', {}, { consumer: { id: 'consumer-2' } }, { clientIp: '10.0.0.2' }],
  ['service', {}, { clientIp: '10.0.0.2' }, { service: { id: 'service-2' } }],
  ['header', { header_name: 'x-team' }, { clientIp: '10.0.0.2' }, { headers: { 'X-Team': 'blue' } }],
  ['path', { path: '/limited' }, { clientIp: '10.0.0.2' }, { path: '/other' }],
]
for (const [limitBy, config, same, other] of OTHERS) {
  test(`counts by ${limitBy}`, () => {
    const limited = new Limited({ minute: 1, limit_by: limitBy, ...config })
    assert.equal(limited.ask(SOMEBODY).status, 0)
    assert.equal(limited.ask({ ...SOMEBODY, ...same }).status, 429)
    assert.equal(limited.ask({ ...SOMEBODY, ...other }).status, 0)
  })

  test(`counts by ${limitBy}, and by address where there is none`, () => {
    const limited = new Limited({ minute: 1, limit_by: limitBy, ...config })
    assert.equal(limited.ask({ clientIp: '10.0.0.9' }).status, 0)
    assert.equal(limited.ask({ clientIp: '10.0.0.9' }).status, 429)
    assert.equal(limited.ask({ clientIp: '10.0.0.8' }).status, 0)
  })
}

test('by consumer, a credential without consumer counts for itself', () => {
  const limited = new Limited({ minute: 1 })
  assert.equal(limited.ask({ credential: CREDENTIAL }).status, 0)
  assert.equal(limited.ask({ credential: CREDENTIAL, clientIp: '10.0.0.2' }).status, 429)
})

test('instances with one scope count together, with others apart', () => {
  const first = new Limited({ minute: 1 }, { route: 'r1' })
  assert.equal(first.ask().status, 0)
  assert.equal(new Limited({ minute: 1 }, { route: 'r1' }, first.counters).ask().status, 429)
  assert.equal(new Limited({ minute: 1 }, { route: 'r2' }, first.counters).ask().status, 0)
  assert.equal(new Limited({ minute: 1 }, { service: 'r1' }, first.counters).ask().status, 0)
})

test('a request that waited counts in the window in which it came', () => {
  const limited = new Limited({ minute: 1 })
  const late = fakeExchange({ now: limited.clock.nowMs })
  limited.ask()
  limited.clock.nowMs = Date.parse('2030-05-17T10:21:00.500Z')
  assert.equal(limited.ask().status, 0)
  assert.partialDeepStrictEqual(rateLimiting.access!(late, limited.state), { status: 429 })
  assert.equal(limited.ask().status, 429)
})

test('a config that this node can not do is refused by name', () => {
  assert.throws(() => prepare(rateLimiting, { minute: 1, policy: 'cluster' }), {
    field: 'policy',
    message: /policy 'cluster' is not available without a store that nodes share \(database = cassandra\)/,
  })
  assert.throws(() => prepare(rateLimiting, { minute: 1, error_code: 42.5 }), { field: 'error_code' })
})

test('a config without a limit, or without what limit_by needs, is refused', () => {
  assert.throws(() => prepare(rateLimiting, {}), { code: 'CONFIG_INVALID' })
  assert.throws(() => prepare(rateLimiting, { minute: 0 }), { code: 'CONFIG_INVALID', field: 'minute' })
  assert.throws(() => prepare(rateLimiting, { minute: 1, limit_by: 'header' }), { code: 'CONFIG_INVALID' })
  assert.throws(() => prepare(rateLimiting, { minute: 5, hour: 1 }), { code: 'CONFIG_INVALID' })
})

test('policy cluster counts over all nodes, where nodes share a store', () => {
  const clusterCounters = new FakeCounters()
  const counters = new FakeCounters()
  const state = prepare(rateLimiting, { minute: 1, policy: 'cluster' }, { counters, clusterCounters })
  const ask = () => (rateLimiting.access!(fakeExchange(), state) ?? null) as Exit | null
  assert.equal(ask(), null)
  assert.equal(ask()?.status, 429)
  assert.deepEqual([counters.keys.length, clusterCounters.keys.length], [0, 1])
})

for (const [faultTolerant, status] of [
  [true, null],
  [false, 500],
] as const) {
  test(`without the other nodes' counts, fault_tolerant ${faultTolerant} ${status === null ? 'goes on counting' : 'refuses as Kong does'}`, () => {
    const clusterCounters = new FakeCounters()
    clusterCounters.isSynced = false
    const config = { minute: 1, policy: 'cluster', fault_tolerant: faultTolerant }
    const state = prepare(rateLimiting, config, { clusterCounters })
    const exit = (rateLimiting.access!(fakeExchange(), state) ?? null) as Exit | null
    assert.equal(exit?.status ?? null, status)
    if (exit !== null) assert.equal(exit.message, 'An unexpected error occurred')
    clusterCounters.isSynced = true
    assert.equal(
      (rateLimiting.access!(fakeExchange(), state) as Exit | undefined)?.status,
      status === null ? 429 : undefined,
    )
  })
}

const IN_REDIS = { policy: 'redis', redis: { host: 'limits' } }

class Strict {
  readonly clock = new FakeClock(START)
  readonly redis = new FakeRedis(this.clock)
  readonly state

  constructor(config: object) {
    this.state = prepare(rateLimiting, { ...IN_REDIS, ...config }, { redis: this.redis })
  }

  async ask() {
    const exchange = fakeExchange({ now: this.clock.nowMs })
    const exit = (await rateLimiting.access!(exchange, this.state)) ?? null
    rateLimiting.responseHeaders!(exchange, this.state)
    return { status: exit?.status ?? 0, message: exit?.message, headers: headersOf(exchange.response.headers) }
  }
}

test('policy redis asks Redis for each decision, over all windows at once', async () => {
  const limited = new Strict({ minute: 2, hour: 3 })
  assert.equal((await limited.ask()).headers['x-ratelimit-remaining-hour'], '2')
  assert.equal((await limited.ask()).status, 0)
  const refused = await limited.ask()
  assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '30'])
  assert.equal(refused.headers['x-ratelimit-remaining-hour'], '1', 'a refused request counts nowhere')
  limited.clock.advance(60_000)
  assert.equal((await limited.ask()).status, 0)
  assert.equal((await limited.ask()).status, 429)
})

test('a request whose window ends while it waits is told of the window that it came in', async () => {
  const limited = new Strict({ second: 5 })
  const exchange = fakeExchange({ now: limited.clock.nowMs })
  const asked = rateLimiting.access!(exchange, limited.state)
  limited.clock.advance(1000)
  await limited.ask()
  await asked
  rateLimiting.responseHeaders!(exchange, limited.state)
  assert.equal(headersOf(exchange.response.headers)['ratelimit-reset'], '1')
})

for (const silence of ['isUp', 'isSilent'] as const) {
  const name = silence === 'isUp' ? 'is known not to answer' : 'does not answer in time'
  test(`while Redis ${name}, the node limits alone, or fails as Kong does`, async () => {
    for (const [fault_tolerant, statuses] of [
      [true, [0, 429]],
      [false, [500, 500]],
    ] as const) {
      const limited = new Strict({ minute: 1, fault_tolerant })
      limited.redis[silence] = silence === 'isSilent'
      const answers = [await limited.ask(), await limited.ask()]
      assert.deepEqual(
        answers.map(({ status }) => status),
        statuses,
      )
      if (!fault_tolerant) assert.equal(answers[0]!.message, 'An unexpected error occurred')
    }
  })
}

test('with a sync_rate the node decides by memory, and without Redis as fault_tolerant says', () => {
  const redis = new FakeRedis(new FakeClock(START))
  const config = { ...IN_REDIS, minute: 1, sync_rate: 0.5, fault_tolerant: false }
  const state = prepare(rateLimiting, config, { redis })
  const ask = () => ((rateLimiting.access!(fakeExchange({ now: START }), state) ?? null) as Exit | null)?.status ?? 0
  assert.deepEqual([ask(), ask()], [0, 429])
  redis.isUp = false
  assert.equal(ask(), 500)
})

test('what was opened for a configuration is closed with it', () => {
  const redis = new FakeRedis()
  for (const sync_rate of [-1, 0.2]) {
    const state = prepare(rateLimiting, { ...IN_REDIS, minute: 1, sync_rate }, { redis })
    assert.deepEqual(
      redis.open.map(({ block, seconds }) => [block.host, seconds]),
      [['limits', sync_rate === -1 ? null : sync_rate]],
    )
    rateLimiting.close!(state)
    assert.deepEqual(redis.open, [])
  }
})
