import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { fakeExchange, FakeDelivery, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { statsd } from './plugin.ts'

const NODE = hostname().replaceAll('.', '_')

const USED: FakeExchangeOptions = {
  route: { id: 'r1', name: 'orders' },
  service: { id: 's1', name: 'shop.api', host: 'shop.test' },
  consumer: { id: 'c1', username: 'ann', custom_id: 'a:1|c' },
  response: { status: 201 },
}

/** The lines that an exchange makes. */
function linesOf(config: object, options: FakeExchangeOptions = USED, tools: object = { workerIndex: 1 }): string[] {
  const delivery = new FakeDelivery()
  const state = prepare(statsd, config, { delivery, ...tools })
  const exchange = fakeExchange(options)
  exchange.workspace = { id: 'w1', name: 'default' }
  exchange.totalLatencyMs = 42
  exchange.upstreamLatencyMs = options.service === undefined ? -1 : 30
  exchange.request.bytesReceived = 10
  exchange.response.bytesSent = 20
  statsd.log?.(exchange, state)
  statsd.close?.(state)
  return (delivery.queues[0]!.entries as string[][]).flat()
}

test('the default metrics are Kong’s, with the service’s name without dots', () => {
  assert.deepEqual(linesOf({}), [
    'kong.service.shop_api.request.count:1|c',
    'kong.service.shop_api.latency:42|ms',
    'kong.service.shop_api.request.size:10|c',
    'kong.service.shop_api.status.201:1|c',
    'kong.service.shop_api.response.size:20|c',
    'kong.service.shop_api.user.uniques:a_1_c|s',
    'kong.service.shop_api.user.a_1_c.request.count:1|c',
    'kong.service.shop_api.upstream_latency:30|ms',
    'kong.service.shop_api.kong_latency:12|ms',
    'kong.service.shop_api.user.a_1_c.status.201:1|c',
    'kong.service.shop_api.workspace.w1.status.201:1|c',
    'kong.route.r1.user.a_1_c.status.201:1|c',
  ])
})

test('requests without a service are counted apart, without what needs an upstream or a consumer', () => {
  assert.deepEqual(linesOf({ prefix: 'gw' }, { response: { status: 404 } }), [
    'gw.global.unmatched.request.count:1|c',
    'gw.global.unmatched.latency:42|ms',
    'gw.global.unmatched.request.size:10|c',
    'gw.global.unmatched.status.404:1|c',
    'gw.global.unmatched.response.size:20|c',
    'gw.global.unmatched.kong_latency:42|ms',
    'gw.global.unmatched.workspace.w1.status.404:1|c',
  ])
})

test('identifiers are chosen by metric, else by configuration', () => {
  const count = { name: 'request_count', stat_type: 'counter', sample_rate: 1 }
  const perUser = { name: 'request_per_user', stat_type: 'counter', sample_rate: 1, consumer_identifier: 'username' }
  const config = {
    metrics: [count, { ...count, service_identifier: 'service_host' }, perUser],
    service_identifier_default: 'service_id',
  }
  assert.deepEqual(linesOf(config), [
    'kong.service.s1.request.count:1|c',
    'kong.service.shop_test.request.count:1|c',
    'kong.service.s1.user.ann.request.count:1|c',
  ])
})

test('each style of tags has its place for them', () => {
  const metrics = [{ name: 'latency', stat_type: 'timer' }]
  const list = (sign: string) =>
    ['service', 'route', 'workspace', 'consumer', 'node', 'status']
      .map((name, at) => name + sign + ['shop.api', 'orders', 'w1', 'a_1_c', NODE, '201'][at])
      .join(',')
  const wanted = {
    dogstatsd: `kong.latency:42|ms|#${list(':')}`,
    influxdb: `kong.latency,${list('=')}:42|ms`,
    librato: `kong.latency#${list('=')}:42|ms`,
    signalfx: `kong.latency[${list('=')}]:42|ms`,
  }
  for (const [tagStyle, line] of Object.entries(wanted))
    assert.deepEqual(linesOf({ metrics, tag_style: tagStyle }), [line])
})

test('with tags the counts by user and status are not sent, and requests without a service have none', () => {
  const lines = linesOf({ tag_style: 'dogstatsd' }, { response: { status: 404 } })
  assert.deepEqual(lines, [
    'kong.request.count:1|c',
    'kong.latency:42|ms',
    'kong.request.size:10|c',
    'kong.response.size:20|c',
    'kong.kong_latency:42|ms',
  ])
})

test('only statuses that are allowed are counted', () => {
  const config = { allow_status_codes: ['200-200', '400-499'] }
  assert.deepEqual(linesOf(config), [])
  assert.ok(linesOf(config, { response: { status: 404 } }).length > 0)
})

test('one in so many is sent for all, and says so', (t) => {
  const metrics = [{ name: 'request_count', stat_type: 'counter', sample_rate: 0.25 }]
  t.mock.method(Math, 'random', () => 0.2)
  assert.deepEqual(linesOf({ metrics }), ['kong.service.shop_api.request.count:1|c|@0.25'])
  t.mock.method(Math, 'random', () => 0.3)
  assert.deepEqual(linesOf({ metrics }), [])
})

test('the memory that workers share is sent by one of them, and the host may stand in every name', () => {
  const metrics = [{ name: 'shdict_usage', stat_type: 'gauge', sample_rate: 1 }]
  const first = { workerIndex: 0, sharedMemory: [{ name: 'counters', capacityBytes: 1024 }] }
  assert.deepEqual(linesOf({ metrics }, USED, first), [
    `kong.node.${NODE}.shdict.counters.free_space:0|g`,
    `kong.node.${NODE}.shdict.counters.capacity:1024|g`,
  ])
  assert.deepEqual(linesOf({ metrics, hostname_in_prefix: true }, USED, first), [
    `kong.node.${NODE}.shdict.counters.free_space:0|g`,
    `kong.node.${NODE}.shdict.counters.capacity:1024|g`,
  ])
  assert.deepEqual(linesOf({ metrics }), [])
})

test('a configuration that can not be is refused with the field', () => {
  const wrong: readonly (readonly [config: object, field: RegExp])[] = [
    [{ port: 70_000 }, /^port/],
    [{ host: 'a b' }, /^host/],
    [{ metrics: [{ name: 'nothing', stat_type: 'counter', sample_rate: 1 }] }, /^metrics/],
    [{ metrics: [{ name: 'request_count', stat_type: 'counter' }] }, /^metrics/],
    [{ metrics: [{ name: 'latency', stat_type: 'watch' }] }, /^metrics/],
    [{ allow_status_codes: ['2xx'] }, /^allow_status_codes/],
    [{ udp_packet_size: 65_508 }, /^udp_packet_size/],
    [{ tag_style: 'none' }, /^tag_style/],
    [{ consumer_identifier_default: 'id' }, /^consumer_identifier_default/],
  ]
  for (const [config, field] of wrong)
    assert.throws(
      () => prepare(statsd, config),
      (error: { code: string; field: string }) => error.code === 'CONFIG_INVALID' && field.test(error.field),
      JSON.stringify(config),
    )
})
