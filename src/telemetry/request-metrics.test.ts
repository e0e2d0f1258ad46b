import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KONG_BUCKETS_MS, OTHER, RequestMetrics } from './request-metrics.ts'
import { Totals } from './totals.ts'

const create = (options = {}) => new RequestMetrics({ maxRoutes: 100, maxConsumers: 100, ...options })

test('a route has one recorder, which goes on when it is handed out again', () => {
  const metrics = create()
  const recorder = metrics.forRoute('s', 'r', 'default')
  recorder.record(200, false, 0.5, 3, 3.5, 100, 2000, '')
  assert.equal(metrics.forRoute('s', 'r', 'default'), recorder)
  assert.notEqual(metrics.forRoute('s', 'r', 'other'), recorder)
  recorder.record(200, false, 0.5, 3, 3.5, 100, 2000, '')
  recorder.record(503, true, 0.5, -1, 0.5, 50, 300, '')
  const [report] = metrics.report()
  assert.deepEqual(report!.traffic, [
    {
      consumer: '',
      codes: [
        [200, 0, 2],
        [503, 1, 1],
      ],
      bytesIn: 250,
      bytesOut: 4300,
    },
  ])
})

test('a value on the bound of a bucket counts in it, one above in the next, any in the last', () => {
  const metrics = create()
  const recorder = metrics.forRoute('s', 'r', 'default')
  for (const ms of [0, 1, 1.01, 6000, 6001, Infinity]) recorder.record(200, false, ms, -1, 0, 0, 0, '')
  const { kong, upstream } = metrics.report()[0]!
  assert.deepEqual([kong[0], kong[1], kong[KONG_BUCKETS_MS.length - 1], kong[KONG_BUCKETS_MS.length]], [2, 1, 1, 2])
  assert.equal(
    upstream.slice(0, -1).reduce((sum, count) => sum + count),
    0,
    'no upstream was asked',
  )
})

test('routes and consumers above the bound share one series, which is counted', () => {
  const metrics = create({ maxRoutes: 2, maxConsumers: 1 })
  for (const name of ['a', 'b', 'c', 'd']) metrics.forRoute('s', name, 'default').record(200, false, 1, 1, 1, 0, 0, '')
  metrics.forRoute('s', 'c', 'default').record(200, false, 1, 1, 1, 0, 0, '')
  assert.deepEqual(
    metrics.report().map(({ route, traffic }) => [route, traffic[0]!.codes[0]![2]]),
    [
      ['a', 1],
      ['b', 1],
      [OTHER, 3],
    ],
  )
  assert.equal(metrics.overflows, 3)
  const recorder = metrics.forRoute('s', 'a', 'default')
  for (const consumer of ['x', 'y', 'z', 'x']) recorder.record(200, false, 1, 1, 1, 0, 0, consumer)
  const traffic = metrics.report()[0]!.traffic.map((one) => [one.consumer, one.codes[0]![2]])
  assert.deepEqual(traffic, [
    ['', 1],
    ['x', 2],
    [OTHER, 2],
  ])
})

test('a route that saw no request is not reported', () => {
  const metrics = create()
  metrics.forRoute('s', 'r', 'default')
  assert.deepEqual(metrics.report(), [])
})

interface Request {
  readonly worker: number
  readonly route: string
  readonly status: number
  readonly isOwn: boolean
  readonly ms: number
  readonly consumer: string
}

const request: fc.Arbitrary<Request> = fc.record({
  worker: fc.nat(3),
  route: fc.constantFrom('a', 'b'),
  status: fc.constantFrom(200, 404, 503),
  isOwn: fc.boolean(),
  ms: fc.nat(8000),
  consumer: fc.constantFrom('', 'x', 'y'),
})

test('the sum over workers is what one worker would have counted, in any order', () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 50 }), fc.boolean(), (requests, reversed) => {
      const one = create()
      const many = [create(), create(), create(), create()]
      for (const { worker, route, status, isOwn, ms, consumer } of requests) {
        for (const metrics of [one, many[worker]!])
          metrics.forRoute('s', route, 'default').record(status, isOwn, ms, ms, ms, ms, ms, consumer)
      }
      const expected = new Totals()
      expected.addWorker({ figures: {}, routes: one.report() }, '0')
      const sum = new Totals()
      for (const metrics of reversed ? many.toReversed() : many)
        sum.addWorker({ figures: {}, routes: metrics.report() }, '0')
      assert.deepEqual(plain(sum), plain(expected))
    }),
  )
})

function plain(totals: Totals) {
  const byKey = <T>(map: Map<string, T>) => [...map].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return byKey(totals.routes).map(([key, { kong, upstream, request: requests, traffic }]) => [
    key,
    kong,
    upstream,
    requests,
    byKey(traffic).map(([consumer, { codes, bytesIn, bytesOut }]) => [consumer, byKey(codes), bytesIn, bytesOut]),
  ])
}
