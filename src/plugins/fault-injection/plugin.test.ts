import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakeExchange, FakeMetrics, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { delayOf } from './delay.ts'
import { faultInjection } from './plugin.ts'

function setUp(config: object) {
  const metrics = new FakeMetrics()
  const state = prepare(faultInjection, { fault_header: 'X-Fault', ...config }, { metrics })
  const ask = (options: FakeExchangeOptions = {}) => {
    const exchange = fakeExchange(options)
    const result = faultInjection.access!(exchange, state)
    const fault = () => {
      faultInjection.responseHeaders!(exchange, state)
      return headersOf(exchange.response.headers)['x-fault']
    }
    return { exchange, result, fault }
  }
  const count = (event: string) => metrics.counts[`fault-injection ${event}`] ?? 0
  return { state, ask, count }
}

test('refuses with status and body, or as the gateway does', () => {
  const { ask, count } = setUp({ abort: { status: 418, body: 'no', content_type: 'text/x' } })
  const { result, fault, exchange } = ask()
  assert.partialDeepStrictEqual(result, { status: 418, body: 'no', contentType: 'text/x', message: null })
  assert.deepEqual([fault(), exchange.logFields, count('aborted')], ['abort=418', { fault_injection: 'abort=418' }, 1])
  assert.partialDeepStrictEqual(setUp({ abort: {} }).ask().result, {
    status: 503,
    message: 'The request was refused on purpose',
  })
  assert.partialDeepStrictEqual(setUp({ abort: { status: 204 } }).ask().result, {
    status: 204,
    body: null,
    message: null,
  })
})

test('refuses calls of gRPC with a status of gRPC', () => {
  const { ask } = setUp({ abort: { status: 500, grpc_status: 14, grpc_message: 'grün: 100%' } })
  const call = ask({ headers: { 'Content-Type': 'application/grpc+proto' } })
  assert.partialDeepStrictEqual(call.result, {
    status: 200,
    contentType: 'application/grpc',
    headers: [
      ['grpc-status', '14'],
      ['grpc-message', 'gr%C3%BCn: 100%25'],
    ],
  })
  assert.equal(call.fault(), 'abort=grpc-14')
  assert.partialDeepStrictEqual(ask().result, { status: 500 })
})

test('delays, and then refuses or lets pass', async () => {
  const both = setUp({ delay: { time: 1 }, abort: { status: 500 } })
  const refused = both.ask()
  assert.partialDeepStrictEqual(await refused.result, { status: 500 })
  assert.equal(refused.fault(), 'delay=1, abort=500')
  const one = setUp({ delay: { time: 1 } })
  const passed = one.ask()
  assert.equal(one.state.delayed, 1)
  assert.equal(await passed.result, undefined)
  assert.deepEqual([passed.fault(), one.count('delayed'), one.state.delayed], ['delay=1', 1, 0])
})

test('over max_delayed requests are not delayed; one whose client leaves makes room at once', async () => {
  const { ask, count, state } = setUp({
    delay: { time: 600_000, max: 600_000 },
    abort: { percent: 100 },
    max_delayed: 2,
  })
  const [first, second] = [ask(), ask()]
  const third = ask()
  assert.partialDeepStrictEqual(third.result, { status: 503 })
  assert.deepEqual([third.fault(), count('delayed'), count('passed_busy')], ['abort=503', 2, 1])
  for (const { exchange, result } of [first, second]) {
    faultInjection.log!(exchange, state)
    faultInjection.log!(exchange, state)
    assert.equal(await result, undefined)
  }
  assert.deepEqual([state.delayed, count('aborted')], [0, 1])
})

const MATCH = [{ header: 'X-Drill', values: ['1', 'on'] }, { cookie: 'drill' }]
const MATCHED: readonly (readonly [headers: Record<string, string | readonly string[]>, isMeant: boolean])[] = [
  [{ 'X-Drill': '1', Cookie: 'drill=' }, true],
  [{ 'x-drill': ['0', 'on'], Cookie: 'a=b; drill=x' }, true],
  [{ 'X-Drill': '1' }, false],
  [{ Cookie: 'drill=1' }, false],
  [{ 'X-Drill': '10', Cookie: 'drill=1' }, false],
  [{ 'X-Drill': '1', Cookie: 'drilled=1' }, false],
  [{}, false],
]
for (const [headers, isMeant] of MATCHED) {
  test(`${isMeant ? 'is meant' : 'is not meant'}: ${JSON.stringify(headers)}`, () => {
    assert.equal(setUp({ match: MATCH, abort: {} }).ask({ headers }).result !== undefined, isMeant)
  })
}

test('about as many requests as it says', () => {
  const { ask } = setUp({ abort: { percent: 20 } })
  let refused = 0
  for (let i = 0; i < 3000; i++) if (ask().result !== undefined) refused++
  assert.ok(Math.abs(refused - 600) < 120, `${refused} of 3000`)
  assert.equal(setUp({ abort: { percent: 0 } }).ask().result, undefined)
})

test('ends by itself', () => {
  const { ask } = setUp({ abort: {}, until: Date.parse('2030-01-01T00:00:00Z') / 1000 })
  assert.partialDeepStrictEqual(ask({ now: '2029-12-31T23:59:59.999Z' }).result, { status: 503 })
  assert.equal(ask({ now: '2030-01-01T00:00:00Z' }).result, undefined)
})

const DELAY = { percent: 100, time: null, deviation: null, min: 0, max: 30_000 }
const DISTRIBUTIONS = [
  [{ ...DELAY, distribution: 'fixed', time: 120 }, 120, 0],
  [{ ...DELAY, distribution: 'uniform', min: 100, max: 300 }, 200, 57.7],
  [{ ...DELAY, distribution: 'exponential', time: 200 }, 200, 200],
  [{ ...DELAY, distribution: 'normal', time: 500, deviation: 50 }, 500, 50],
] as const
for (const [config, mean, deviation] of DISTRIBUTIONS) {
  test(`a ${config.distribution} delay has its mean and its spread, and stays within min and max`, () => {
    // A sequence that is the same in each run.
    let seed = 42
    const random = () => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
      return seed / 2 ** 32
    }
    const list = Array.from({ length: 20_000 }, () => delayOf(config, random))
    const found = list.reduce((sum, ms) => sum + ms, 0) / list.length
    const spread = Math.sqrt(list.reduce((sum, ms) => sum + (ms - found) ** 2, 0) / list.length)
    assert.ok(Math.abs(found - mean) <= mean * 0.05, `mean ${found}`)
    assert.ok(Math.abs(spread - deviation) <= deviation * 0.05 + 0.5, `spread ${spread}`)
    const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(unit, unit, fc.nat(1000), fc.nat(1000), (a, b, low, more) => {
        const draws = [a, b]
        const bounds = { ...config, min: low, max: low + more }
        const ms = delayOf(bounds, () => draws.shift()!)
        assert.ok(ms >= low && ms <= low + more && Number.isInteger(ms), String(ms))
      }),
    )
  })
}

const MALFORMED: readonly (readonly [config: object, field: string])[] = [
  [{}, 'abort'],
  [{ abort: { status: 99 } }, 'abort.status'],
  [{ abort: { status: '5xx' } }, 'abort.status'],
  [{ abort: { percent: 101 } }, 'abort.percent'],
  [{ abort: { grpc_status: 17 } }, 'abort.grpc_status'],
  [{ abort: {}, match: [{ values: ['x'] }] }, 'match.0'],
  [{ abort: {}, match: [{ header: 'X', cookie: 'y' }] }, 'match.0'],
  [{ abort: {}, until: 0 }, 'until'],
  [{ abort: {}, fault_header: 'a:b' }, 'fault_header'],
  [{ abort: {}, max_delayed: 0 }, 'max_delayed'],
  [{ delay: {} }, 'delay.time'],
  [{ delay: { time: -1 } }, 'delay.time'],
  [{ delay: { time: 31_000 } }, 'delay.time'],
  [{ delay: { time: 600_001 } }, 'delay.time'],
  [{ delay: { distribution: 'uniform', time: 5 } }, 'delay.time'],
  [{ delay: { distribution: 'uniform', min: 5, max: 4 } }, 'delay.min'],
  [{ delay: { distribution: 'normal', time: 5 } }, 'delay.deviation'],
  [{ delay: { distribution: 'fixed', time: 5, deviation: 1 } }, 'delay.deviation'],
  [{ delay: { distribution: 'pareto', time: 5 } }, 'delay.distribution'],
  [{ delay: { time: 5 }, percent: 5 }, 'percent'],
]
for (const [config, field] of MALFORMED) {
  test(`a configuration is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => prepare(faultInjection, config), { code: 'CONFIG_INVALID', field })
  })
}
