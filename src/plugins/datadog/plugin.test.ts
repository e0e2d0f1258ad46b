import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, FakeDelivery, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { datadog } from './plugin.ts'

function linesOf(config: object, options: FakeExchangeOptions): string[] {
  const delivery = new FakeDelivery()
  const state = prepare(datadog, config, { delivery })
  const exchange = fakeExchange(options)
  exchange.totalLatencyMs = 42
  exchange.upstreamLatencyMs = options.service === undefined ? -1 : 30
  exchange.request.bytesReceived = 10
  exchange.response.bytesSent = 20
  datadog.log?.(exchange, state)
  datadog.close?.(state)
  return (delivery.queues[0]!.entries as string[][]).flat()
}

test('the default metrics are Kong’s, with tags for service, status and consumer', () => {
  const tags = '#name:shop_api,status:201,consumer:seven,app:kong'
  assert.deepEqual(
    linesOf(
      {},
      {
        service: { id: 's', name: 'shop.api', host: 'h' },
        consumer: { id: 'c', username: 'ann', custom_id: 'seven' },
        response: { status: 201 },
      },
    ),
    [
      `kong.request.count:1|c|${tags}`,
      `kong.latency:42|ms|${tags}`,
      `kong.request.size:10|ms|${tags}`,
      `kong.response.size:20|ms|${tags}`,
      `kong.upstream_latency:30|ms|${tags}`,
      `kong.kong_latency:12|ms|${tags}`,
    ],
  )
})

test('names of tags, types and identifiers are those of the configuration', () => {
  const metrics = [
    { name: 'latency', stat_type: 'distribution', consumer_identifier: 'consumer_id', tags: ['env:test', 'plain'] },
  ]
  const config = { metrics, prefix: 'gw', service_name_tag: 'svc', status_tag: 'code', consumer_tag: 'user' }
  assert.deepEqual(
    linesOf(config, {
      service: { id: 's', name: null, host: 'shop.test' },
      consumer: { id: 'c-1', username: 'ann' },
      response: { status: 500 },
    }),
    ['gw.latency:42|d|#svc:shop_test,code:500,user:c_1,env:test,plain'],
  )
})

test('a request without a service has an empty name and no latency of an upstream', () => {
  const lines = linesOf({}, { response: { status: 404 } })
  assert.equal(lines[0], 'kong.request.count:1|c|#name:,status:404,app:kong')
  assert.ok(!lines.some((line) => line.includes('upstream_latency')))
})

test('a configuration that can not be is refused with the field', () => {
  for (const [field, value] of Object.entries({
    host: 'a b',
    port: -1,
    metrics: [{ name: 'status_count', stat_type: 'counter', sample_rate: 1 }],
  }))
    assert.throws(
      () => prepare(datadog, { [field]: value }),
      (error: { field: string }) => error.field.startsWith(field),
    )
  assert.throws(() => prepare(datadog, { metrics: [{ name: 'latency', stat_type: 'timer', tags: ['a:'] }] }), {
    code: 'CONFIG_INVALID',
  })
  assert.throws(() => prepare(datadog, { metrics: [{ name: 'latency', stat_type: 'timer', sample_rate: 2 }] }), {
    code: 'CONFIG_INVALID',
  })
})
