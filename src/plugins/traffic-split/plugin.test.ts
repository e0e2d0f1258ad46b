import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { LocalCounters } from '#pdk'
import {
  FakeClock,
  FakeCounters,
  FakeEntities,
  fakeExchange,
  FakeMetrics,
  headersOf,
  prepare,
  type FakeExchangeOptions,
} from '#pdk/testing'
import { tick, trafficSplit } from './plugin.ts'
import { describeSplit, SplitState } from './split-state.ts'

const open: (() => void)[] = []
after(() => {
  for (const close of open) close()
})

interface SetUp {
  readonly counters?: LocalCounters
  readonly entities?: FakeEntities
  /** Names that there are. */
  readonly services?: readonly string[]
}

function setUp(config: object, { counters = new FakeCounters(), entities, services = ['new', 'newer'] }: SetUp = {}) {
  const metrics = new FakeMetrics()
  const lines: string[] = []
  const note = (_: object, message: string) => void lines.push(message)
  const state = prepare(
    trafficSplit,
    { targets: [{ name: 'canary', service: 'new', weight: 10 }], ...config },
    { counters, metrics, log: { error: note, warn: note, info: note, debug: note }, ...(entities && { entities }) },
  )
  open.push(() => trafficSplit.close!(state))
  const ask = async (options: FakeExchangeOptions = {}) => {
    const exchange = fakeExchange(options)
    let chosen = 'own'
    exchange.chooser = {
      choose(kind, name) {
        if (!services.includes(name)) return false
        chosen = `${kind} ${name}`
        return true
      },
      locate: () => null,
      repeat: () => false,
    }
    await trafficSplit.access!(exchange, state)
    const end = (status: number, latencyMs = 10, source: 'service' | 'exit' | 'error' = 'service') => {
      exchange.response.status = status
      exchange.response.source = source
      exchange.upstreamLatencyMs = exchange.totalLatencyMs = latencyMs
      trafficSplit.responseHeaders!(exchange, state)
      trafficSplit.log!(exchange, state)
      return headersOf(exchange.response.headers)
    }
    return { exchange, chosen, end }
  }
  return { state, ask, metrics, lines }
}

const count = async (times: number, ask: () => Promise<{ readonly chosen: string }>) => {
  const found: Record<string, number> = {}
  for (let i = 0; i < times; i++) {
    const { chosen } = await ask()
    found[chosen] = (found[chosen] ?? 0) + 1
  }
  return found
}

test('requests go by weight', async () => {
  const { ask } = setUp({
    targets: [
      { name: 'a', service: 'new', weight: 20 },
      { name: 'b', upstream: 'newer', weight: 30 },
    ],
  })
  const found = await count(4000, ask)
  assert.ok(Math.abs(found['service new']! - 800) < 150, JSON.stringify(found))
  assert.ok(Math.abs(found['upstream newer']! - 1200) < 170, JSON.stringify(found))
  assert.equal((await ask()).exchange.logFields?.['traffic_split'] !== undefined, true)
})

const RULES = [
  { header: 'X-Canary', values: ['yes', '1'], target: 'canary' },
  { header: 'X-Stable', target: 'stable' },
  { cookie: 'beta', values: ['on'], target: 'canary' },
  { consumer_groups: ['testers'], target: 'canary' },
  { header: 'X-Both', cookie: 'both', target: 'canary' },
]
const RULE_CASES: readonly (readonly [headers: Record<string, string>, chosen: string])[] = [
  [{ 'X-Canary': 'yes' }, 'service new'],
  [{ 'x-canary': '1' }, 'service new'],
  [{ 'X-Canary': 'YES' }, 'own'],
  [{ 'X-Canary': '' }, 'own'],
  [{ 'X-Stable': '' }, 'own'],
  [{ 'X-Stable': '', Cookie: 'beta=on' }, 'own'],
  [{ Cookie: 'a=b; beta=on' }, 'service new'],
  [{ Cookie: 'beta=off' }, 'own'],
  [{ 'X-Both': '1' }, 'own'],
  [{ 'X-Both': '1', Cookie: 'both=' }, 'service new'],
]
for (const [headers, wanted] of RULE_CASES) {
  test(`by rule: ${JSON.stringify(headers)}`, async () => {
    const { ask } = setUp({ targets: [{ name: 'canary', service: 'new' }], rules: RULES })
    assert.equal((await ask({ headers })).chosen, wanted)
  })
}

const GROUPS = {
  consumer_groups: [{ id: 'g1', name: 'testers' }],
  consumer_group_consumers: [{ id: 'm1', consumer_group: { id: 'g1' }, consumer: { id: 'anna' } }],
}
for (const [mode, wanted] of [
  ['sync', 'service new'],
  ['async', 'service new'],
  ['unavailable', 'own'],
] as const) {
  test(`by the groups of the consumer, which are known: ${mode}`, async () => {
    const { ask } = setUp(
      { targets: [{ name: 'canary', service: 'new' }], rules: RULES },
      { entities: new FakeEntities(GROUPS, mode) },
    )
    assert.equal((await ask({ consumer: { id: 'anna' } })).chosen, wanted)
    assert.equal((await ask({ consumer: { id: 'ben' } })).chosen, 'own')
    assert.equal((await ask()).chosen, 'own')
  })
}

const STICKY: readonly (readonly [config: object, of: (i: number) => FakeExchangeOptions])[] = [
  [{ sticky: 'consumer' }, (i) => ({ consumer: { id: `c${i}` } })],
  [{ sticky: 'consumer' }, (i) => ({ clientIp: `10.0.0.${i}` })],
  [{ sticky: 'ip' }, (i) => ({ clientIp: `10.0.0.${i}` })],
  [{ sticky: 'header', sticky_header: 'X-Device' }, (i) => ({ headers: { 'X-Device': `d${i}` } })],
]
for (const [config, of] of STICKY) {
  test(`sticky ${JSON.stringify(config)} by ${Object.keys(of(1)).join()}`, async () => {
    const { ask } = setUp({ ...config, targets: [{ name: 'canary', service: 'new', weight: 50 }] })
    const found = new Set<string>()
    for (let i = 0; i < 40; i++) {
      const { chosen } = await ask(of(i))
      found.add(chosen)
      for (let again = 0; again < 3; again++) assert.equal((await ask(of(i))).chosen, chosen)
    }
    assert.equal(found.size, 2, 'all went to one side')
  })
}

test('a cookie keeps a client where it is, and one that is forged or broken is replaced', async () => {
  const { ask } = setUp({ sticky: 'cookie', targets: [{ name: 'canary', service: 'new', weight: 50 }] })
  for (let i = 0; i < 20; i++) {
    const first = await ask(
      i % 2 === 0 ? {} : { headers: { Cookie: `meridian_split=${['', 'x', '10000', '-1', '1e3'][i % 5]}` } },
    )
    const cookie = String(first.end(200)['set-cookie'])
    assert.match(cookie, /^meridian_split=\d{1,4}; Path=\/; Max-Age=86400; SameSite=Lax; HttpOnly$/)
    const again = await ask({ headers: { Cookie: cookie.split(';')[0]! } })
    assert.equal(again.chosen, first.chosen)
    assert.equal(again.end(200)['set-cookie'], undefined)
  }
})

test('a ramp gives nothing before its start and all after its end', async () => {
  const { ask } = setUp({
    targets: [{ name: 'canary', service: 'new', weight: 100 }],
    ramp: { start: Date.parse('2030-01-01T00:00:00Z') / 1000, duration: 3600 },
  })
  assert.deepEqual(await count(50, () => ask({ now: '2029-12-31T23:59:59Z' })), { own: 50 })
  assert.deepEqual(await count(50, () => ask({ now: '2030-01-01T01:00:00Z' })), { 'service new': 50 })
  const half = await count(1000, () => ask({ now: '2030-01-01T00:30:00Z' }))
  assert.ok(Math.abs(half['own']! - 500) < 90, JSON.stringify(half))
})

test('a target that is not there gets nothing, which is logged once and counted', async () => {
  const { ask, lines, metrics } = setUp({
    targets: [{ name: 'canary', service: 'gone', weight: 100 }],
    variant_header: 'X-Variant',
  })
  for (let i = 0; i < 3; i++) {
    const { chosen, end } = await ask()
    assert.deepEqual([chosen, end(200)['x-variant']], ['own', 'stable'])
  }
  assert.deepEqual(lines, ['a target of a traffic split is not there'])
  assert.equal(metrics.counts['traffic-split missing_target'], 3)
})

test('what an exchange says about its side', async () => {
  const { ask, metrics } = setUp({ targets: [{ name: 'canary', service: 'new', weight: 100 }] })
  const end = async (...how: Parameters<Awaited<ReturnType<typeof ask>>['end']>) => (await ask()).end(...how)
  await end(200)
  await end(404)
  await end(502)
  await end(504, 10, 'error')
  // The balancer found nobody; a plugin refused; the client left.
  await end(503, 10, 'exit')
  await end(403, 10, 'exit')
  await end(499, 10, 'error')
  assert.deepEqual(metrics.splits, { 'canary ok': 2, 'canary error': 3 })
  const cut = await ask()
  cut.exchange.error = new Error('cut off')
  cut.end(200, 10, 'error')
  assert.equal(metrics.splits['canary error'], 4)
})

const ABORT = { min_requests: 10, window: 10 }

test('a target with more errors is aborted on all workers, once, by the one who judges', async () => {
  const clock = new FakeClock(Date.now())
  const counters = new FakeCounters(clock)
  const config = { targets: [{ name: 'canary', service: 'new', weight: 50 }], abort: ABORT, sticky: 'ip' }
  const [judge, other] = [setUp(config, { counters }), setUp(config, { counters })]
  const end = async ({ ask }: typeof judge, status: (chosen: string) => number) => {
    for (let i = 0; i < 60; i++) {
      const { chosen, end: finish } = await ask({ clientIp: `10.0.0.${i}`, now: clock.nowMs })
      finish(status(chosen))
    }
  }
  await end(other, () => 200)
  tick(judge.state, clock.nowMs, true)
  assert.deepEqual(judge.metrics.states, { canary: { share: 0.5, isAborted: false } })
  await end(other, (chosen) => (chosen === 'own' ? 200 : 500))
  tick(other.state, clock.nowMs, false)
  assert.equal(other.state.targets[0]!.isAborted, false, 'only one judges')
  tick(judge.state, clock.nowMs, true)
  tick(other.state, clock.nowMs, false)
  tick(judge.state, clock.nowMs, true)
  assert.deepEqual(judge.lines, ['a target of a traffic split is aborted'])
  assert.deepEqual(judge.metrics.states, { canary: { share: 0, isAborted: true } })
  for (const { ask } of [judge, other]) assert.deepEqual(await count(60, () => ask()), { own: 60 })
  // Long after, and with nothing in the window, it still is.
  clock.advance(86_400_000)
  tick(other.state, clock.nowMs, false)
  assert.deepEqual(await count(5, () => other.ask({ headers: { 'X-Canary': 'yes' } })), { own: 5 })
  // Another configuration begins anew.
  const changed = setUp({ ...config, sticky: 'none' }, { counters })
  assert.equal(changed.state.targets[0]!.isAborted, false)
})

test('after its hold, or when somebody says so, it has its share again and is judged anew', async () => {
  const clock = new FakeClock(Date.now())
  const counters = new FakeCounters(clock)
  const config = {
    targets: [{ name: 'canary', service: 'new', weight: 100 }],
    abort: { ...ABORT, max_error_rate: 10, hold: 20 },
  }
  const { ask, state, lines } = setUp(config, { counters })
  const fail = async () => {
    for (let i = 0; i < 10; i++) (await ask({ now: clock.nowMs })).end(500)
    tick(state, clock.nowMs, true)
  }
  await fail()
  assert.equal(state.targets[0]!.isAborted, true)
  clock.advance(20_000)
  tick(state, clock.nowMs, true)
  assert.equal(state.targets[0]!.isAborted, false)
  await fail()
  assert.equal(state.targets[0]!.isAborted, true)
  const shown = describeSplit(counters, state.id, state.config, clock.nowMs) as { targets: { aborted: object }[] }
  assert.partialDeepStrictEqual(shown.targets[0], {
    name: 'canary',
    weight: 100,
    share: 0,
    aborted: {
      at: new Date(clock.nowMs).toISOString(),
      reason: 'max_error_rate',
      until: new Date(clock.nowMs + 20_000).toISOString(),
    },
    requests: 10,
    errors: 10,
    error_rate: 100,
    latency: null,
  })
  new SplitState(counters, state.id, state.config).resume('canary', clock.nowMs)
  tick(state, clock.nowMs, true)
  assert.equal(state.targets[0]!.isAborted, false)
  assert.deepEqual(
    lines,
    Array.from({ length: 2 }, () => [
      'a target of a traffic split is aborted',
      'a target of a traffic split has its share again',
    ]).flat(),
  )
})

const T = [{ name: 'a', service: 's', weight: 10 }]
const MALFORMED: readonly (readonly [config: object, field: string])[] = [
  [{ targets: [] }, 'targets'],
  [{ targets: [{ name: 'a', weight: 1 }] }, 'targets.0'],
  [{ targets: [{ name: 'a', service: 's', upstream: 'u' }] }, 'targets.0'],
  [{ targets: [{ name: 'stable', service: 's' }] }, 'targets.0.name'],
  [{ targets: [...T, ...T] }, 'targets.1.name'],
  [
    {
      targets: [
        { name: 'a', service: 's', weight: 60 },
        { name: 'b', service: 's', weight: 41 },
      ],
    },
    'targets',
  ],
  [{ targets: T, rules: [{ target: 'b', header: 'X' }] }, 'rules.0.target'],
  [{ targets: T, rules: [{ target: 'a' }] }, 'rules.0'],
  [{ targets: T, rules: [{ target: 'a', consumer_groups: ['g'], values: ['x'] }] }, 'rules.0.values'],
  [{ targets: T, rules: [{ target: 'a', header: 'X', cookie: 'y', values: ['x'] }] }, 'rules.0.values'],
  [{ targets: T, sticky: 'header' }, 'sticky_header'],
  [{ targets: T, sticky_header: 'X' }, 'sticky_header'],
  [{ targets: T, sticky: 'session' }, 'sticky'],
  [{ targets: T, cookie_name: 'a b' }, 'cookie_name'],
  [{ targets: T, ramp: { duration: 5 } }, 'ramp.start'],
  [{ targets: T, ramp: { start: 5, duration: 0 } }, 'ramp.duration'],
  [{ targets: T, abort: { window: 5 } }, 'abort.window'],
  [{ targets: T, abort: { window: 60, hold: 59 } }, 'abort.hold'],
  [{ targets: T, abort: { latency_percentile: 100 } }, 'abort.latency_percentile'],
  [{ targets: T, weight: 3 }, 'weight'],
]
for (const [config, field] of MALFORMED) {
  test(`a configuration is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => prepare(trafficSplit, config), { code: 'CONFIG_INVALID', field })
  })
}

for (const targets of [
  [{ name: 'a', service: 's', weight: 101 }],
  [{ name: 'a', service: 's', weight: -1 }],
  [{ name: 'a b', service: 's' }],
  [{ service: 's' }],
])
  test(`a target is refused: ${JSON.stringify(targets)}`, () => {
    assert.throws(
      () => prepare(trafficSplit, { targets }),
      (error: { code?: string; field?: string }) =>
        error.code === 'CONFIG_INVALID' && error.field!.startsWith('targets'),
    )
  })
