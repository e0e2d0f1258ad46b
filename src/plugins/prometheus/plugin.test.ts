import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeMetrics, fakeExchange, prepare } from '#pdk/testing'
import { prometheus } from './plugin.ts'

const ROUTE = { route: { id: 'r' } }

test('reports a finished exchange with what is to be counted of it', () => {
  const metrics = new FakeMetrics()
  const exchange = fakeExchange(ROUTE)
  prometheus.log!(
    exchange,
    prepare(prometheus, { status_code_metrics: true, bandwidth_metrics: true, per_consumer: true }, { metrics }),
  )
  assert.deepEqual(metrics.finished, [
    { exchange, selection: { perConsumer: true, statusCodes: true, latencies: false, bandwidth: true, models: false } },
  ])
})

test('reports nothing when nothing is to be counted', () => {
  const metrics = new FakeMetrics()
  for (const config of [{}, { per_consumer: true, upstream_health_metrics: true }, { latency_metrics: null }]) {
    prometheus.log!(fakeExchange(ROUTE), prepare(prometheus, config, { metrics }))
  }
  assert.deepEqual(metrics.finished, [])
})

test('the use of models is counted by itself', () => {
  const metrics = new FakeMetrics()
  const exchange = fakeExchange(ROUTE)
  prometheus.log!(exchange, prepare(prometheus, { ai_metrics: true, per_consumer: true }, { metrics }))
  const selection = { perConsumer: false, statusCodes: false, latencies: false, bandwidth: false, models: true }
  assert.deepEqual(metrics.finished, [{ exchange, selection }])
})

test('does not count requests that matched no route', () => {
  const metrics = new FakeMetrics()
  prometheus.log!(fakeExchange(), prepare(prometheus, { status_code_metrics: true }, { metrics }))
  assert.deepEqual(metrics.finished, [])
})

test('a config with a text for a switch names the field', () => {
  assert.throws(() => prepare(prometheus, { per_consumer: 'yes' }), { code: 'CONFIG_INVALID', field: 'per_consumer' })
})
