import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FakeClock, FakeCounters } from '#pdk/testing'
import { judge, type AbortConfig } from './verdict.ts'
import { percentileOf, SlidingWindow, type WindowFigures } from './window.ts'

const CONFIG: AbortConfig = {
  window: 60,
  min_requests: 50,
  error_margin: 5,
  max_error_rate: null,
  latency_percentile: 95,
  latency_factor: 2,
  latency_slack: 20,
  hold: 0,
}

/** So many errors, and requests with these latencies (ms) and counts. */
function figures(errors: number, ...latencies: readonly (readonly [ms: number, count: number])[]): WindowFigures {
  const clock = new FakeClock()
  const window = new SlidingWindow(new FakeCounters(clock), 'x', 60_000)
  for (let i = 0; i < errors; i++) window.record(null, clock.nowMs)
  for (const [ms, count] of latencies) for (let i = 0; i < count; i++) window.record(ms, clock.nowMs)
  return window.read(clock.nowMs)
}

const CASES: readonly (readonly [
  name: string,
  target: WindowFigures,
  stable: WindowFigures,
  reason: string | null,
  config?: Partial<AbortConfig>,
])[] = [
  ['both do well', figures(0, [10, 100]), figures(0, [10, 900]), null],
  ['too few requests to say anything', figures(49), figures(0, [10, 900]), null],
  ['just enough', figures(50), figures(0, [10, 900]), 'error_rate'],
  ['within the margin', figures(5, [10, 95]), figures(0, [10, 900]), null],
  ['over the margin', figures(6, [10, 94]), figures(0, [10, 900]), 'error_rate'],
  ['errors on both sides', figures(50, [10, 50]), figures(450, [10, 450]), null],
  ['nothing to compare with', figures(100), figures(0, [10, 49]), null],
  [
    'nothing to compare with, and over what is allowed',
    figures(100),
    figures(0),
    'max_error_rate',
    { max_error_rate: 20 },
  ],
  [
    'over what is allowed, though both are',
    figures(50, [10, 50]),
    figures(500),
    'max_error_rate',
    { max_error_rate: 20 },
  ],
  ['errors on the stable side alone', figures(0, [10, 100]), figures(900), null],
  ['slower', figures(0, [200, 100]), figures(0, [50, 900]), 'latency'],
  ['slower, but not by the factor', figures(0, [90, 100]), figures(0, [50, 900]), null],
  ['slower by the factor, but in the slack', figures(0, [6, 100]), figures(0, [2, 900]), null],
  ['a few slow ones below the percentile', figures(0, [10, 96], [5000, 4]), figures(0, [10, 900]), null],
  ['more slow ones than the percentile leaves', figures(0, [10, 90], [5000, 10]), figures(0, [10, 900]), 'latency'],
  ['slower where nobody asks for that', figures(0, [5000, 100]), figures(0, [10, 900]), null, { latency_factor: 0 }],
  ['a margin of nothing', figures(1, [10, 99]), figures(0, [10, 900]), 'error_rate', { error_margin: 0 }],
]
for (const [name, target, stable, reason, config] of CASES) {
  test(`a target that is compared: ${name}`, () => {
    assert.equal(judge(target, stable, { ...CONFIG, ...config }), reason)
  })
}

test('percentiles are as near to those of the latencies themselves as the bins are wide', () => {
  const latencies = fc.array(fc.double({ min: 0.1, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(latencies, fc.integer({ min: 1, max: 99 }), (list, percent) => {
      const exact = list.toSorted((a, b) => a - b)[Math.ceil((percent / 100) * list.length) - 1]!
      const shown = percentileOf(figures(0, ...list.map((ms) => [ms, 1] as const)), percent)!
      assert.ok(shown >= exact / 1.5 - 1 && shown <= exact * 1.5 + 1, `${shown} for ${exact}`)
    }),
    { numRuns: 50 },
  )
  assert.equal(percentileOf(figures(3), 95), null)
})

test('what is older than the window no longer counts, and two windows on one table are one', () => {
  const clock = new FakeClock()
  const counters = new FakeCounters(clock)
  const [one, other] = [new SlidingWindow(counters, 'x', 60_000), new SlidingWindow(counters, 'x', 60_000)]
  one.record(null, clock.nowMs)
  clock.advance(30_000)
  other.record(5, clock.nowMs)
  assert.deepEqual([one.read(clock.nowMs).requests, one.read(clock.nowMs).errors], [2, 1])
  clock.advance(30_000)
  assert.deepEqual([other.read(clock.nowMs).requests, other.read(clock.nowMs).errors], [1, 0])
  one.clear(clock.nowMs)
  assert.equal(other.read(clock.nowMs).requests, 0)
})
