import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange } from '#pdk'
import { fakeExchange, FakeDelivery, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { zipkin } from './plugin.ts'
import type { ZipkinSpan } from './span.ts'

const TRACE = '80f198ee56343ba864fe8b2a57d3eff7'
const SPAN = 'e457b5a2e4d86bd1'
const PARENT = '05e3ac9a4f6e3b90'
const NODE = '00000000-0000-4000-8000-000000000001'

interface Ran {
  readonly exchange: Exchange
  readonly spans: readonly ZipkinSpan[]
}

/** One request through all phases, to an upstream that was tried twice. */
function run(config: object, options: FakeExchangeOptions = {}, change: (exchange: Exchange) => void = () => {}): Ran {
  const delivery = new FakeDelivery()
  const all = { http_endpoint: 'http://127.0.0.1:9/', sample_ratio: 1, ...config }
  const state = prepare(zipkin, all, { delivery })
  const exchange = fakeExchange({
    path: '/orders/7?token=t',
    service: { id: 's-id', name: 'orders' },
    route: { id: 'r-id', name: 'all' },
    clientIp: '10.0.0.9',
    response: { status: 200 },
    ...options,
  })
  void zipkin.access?.(exchange, state)
  const startMs = exchange.startedAtMs
  exchange.upstream.host = 'orders.internal'
  exchange.tries = [
    { ip: '10.0.0.1', port: 80, startedAtMs: startMs + 2, latencyMs: 2, state: 'next', code: 502 },
    { ip: '::1', port: 81, startedAtMs: startMs + 5, latencyMs: 5, state: '', code: 0 },
  ]
  change(exchange)
  zipkin.responseHeaders?.(exchange, state)
  assert.equal(zipkin.responseBody?.(exchange, state), null)
  exchange.totalLatencyMs = 30
  zipkin.log?.(exchange, state)
  zipkin.close?.(state)
  return { exchange, spans: (delivery.queues[0]?.entries ?? []).map((text) => JSON.parse(text as string)) }
}

const named = (spans: readonly ZipkinSpan[], name: string) => spans.find((span) => span.name === name)!

test('a request is a span of the client, one of the upstream and one for each try', () => {
  const { exchange, spans } = run({})
  assert.deepEqual(
    spans.map(({ name, kind }) => [name, kind]),
    [
      ['GET (balancer try 1)', 'CLIENT'],
      ['GET (balancer try 2)', 'CLIENT'],
      ['GET (proxy)', 'CLIENT'],
      ['GET', 'SERVER'],
    ],
  )
  const request = named(spans, 'GET')
  const proxy = named(spans, 'GET (proxy)')
  assert.equal(request.parentId, undefined)
  assert.deepEqual(
    spans.slice(0, 3).map(({ parentId, traceId }) => [parentId, traceId]),
    Array.from({ length: 3 }, () => [request.id, request.traceId]),
  )
  assert.equal(new Set(spans.map(({ id }) => id)).size, 4)
  assert.deepEqual(request.tags, {
    lc: 'kong',
    'http.method': 'GET',
    'http.host': 'gw.test',
    'http.path': '/orders/7',
    'http.protocol': 'HTTP/1.1',
    'http.status_code': '200',
    'kong.node.id': NODE,
  })
  assert.deepEqual(request.localEndpoint, { serviceName: 'kong' })
  assert.deepEqual(request.remoteEndpoint, { port: 50000, ipv4: '10.0.0.9' })
  const names = {
    'kong.service': 's-id',
    'kong.service_name': 'orders',
    'kong.route': 'r-id',
    'kong.route_name': 'all',
  }
  assert.deepEqual(proxy.tags, { ...names, 'peer.hostname': 'orders.internal' })
  assert.deepEqual(proxy.remoteEndpoint, { serviceName: 'orders', port: 81, ipv6: '::1' })
  assert.deepEqual(spans[0]!.tags, {
    ...names,
    'kong.balancer.try': '1',
    error: 'true',
    'kong.balancer.state': 'next',
    'http.status_code': '502',
  })
  assert.deepEqual(spans[1]!.tags, { ...names, 'kong.balancer.try': '2' })
  assert.deepEqual(
    proxy.annotations?.map(({ value }) => value),
    ['kas', 'kaf', 'khs', 'khf', 'kbs', 'kbf'],
  )
  assert.deepEqual(
    request.annotations?.map(({ value }) => value),
    ['krs', 'krf'],
  )
  const startUs = exchange.startedAtMs * 1000
  assert.deepEqual([request.timestamp, request.duration], [startUs, 30_000])
  assert.deepEqual([spans[0]!.timestamp, spans[0]!.duration], [startUs + 2000, 3000])
  assert.deepEqual([spans[1]!.timestamp, spans[1]!.duration], [startUs + 5000, 25_000])
  for (const { timestamp, duration, annotations = [] } of spans) {
    assert.ok(timestamp >= startUs && duration >= 0 && timestamp + duration <= startUs + 30_000)
    for (const one of annotations)
      assert.ok(one.timestamp >= startUs && one.timestamp <= startUs + 30_000, JSON.stringify(one))
  }
})

test('the upstream and the log record get the trace', () => {
  const { exchange, spans } = run({})
  const { headers } = exchange.request
  const { traceId, id } = named(spans, 'GET (proxy)')
  assert.equal(headers.get('x-b3-traceid'), traceId)
  assert.equal(headers.get('x-b3-spanid'), id)
  assert.equal(headers.get('x-b3-parentspanid'), named(spans, 'GET').id)
  assert.equal(headers.get('x-b3-sampled'), '1')
  assert.deepEqual(exchange.logFields, { trace_id: { b3: traceId } })
})

test('a span of B3 is ours, too, and one of W3C is above ours', () => {
  const b3 = { 'X-B3-TraceId': TRACE, 'X-B3-SpanId': SPAN, 'X-B3-ParentSpanId': PARENT }
  const shared = named(run({}, { headers: b3 }).spans, 'GET')
  assert.deepEqual([shared.traceId, shared.id, shared.parentId], [TRACE, SPAN, PARENT])
  const below = named(run({}, { headers: { traceparent: `00-${TRACE}-${SPAN}-01` } }).spans, 'GET')
  assert.deepEqual([below.traceId, below.parentId], [TRACE, SPAN])
  assert.notEqual(below.id, SPAN)
})

test('the sender decides whether a trace is reported, else sample_ratio does', () => {
  const sampled = (flag: string) => ({ 'X-B3-TraceId': TRACE, 'X-B3-SpanId': SPAN, 'X-B3-Sampled': flag })
  assert.equal(run({}, { headers: sampled('0') }).spans.length, 0)
  assert.equal(run({ sample_ratio: 0 }, { headers: sampled('1') }).spans.length, 4)
  assert.equal(run({ sample_ratio: 0 }).spans.length, 0)
  assert.equal(run({ sample_ratio: 0 }).exchange.request.headers.get('x-b3-sampled'), '0')
  const debug = { 'X-B3-TraceId': TRACE, 'X-B3-SpanId': SPAN, 'X-B3-Flags': '1' }
  assert.equal(run({ sample_ratio: 0 }, { headers: debug }).spans.length, 4)
})

test('ids have as many bytes as configured', () => {
  assert.match(named(run({ traceid_byte_count: 8 }).spans, 'GET').traceId, /^[0-9a-f]{16}$/)
  assert.match(named(run({}).spans, 'GET').traceId, /^[0-9a-f]{32}$/)
})

test('tags come from the configuration, the client and who the client is', () => {
  const { spans } = run(
    { static_tags: [{ name: 'zone', value: 'a' }], http_span_name: 'method_path', local_service_name: 'gateway' },
    {
      headers: [
        ['Zipkin-Tags', 'user=ann; order = 7 ;broken; =x;two words=y;__proto__=z'],
        ['Zipkin-Tags', 'more=b=c'],
      ],
      consumer: { id: 'c-id' },
      credential: { id: 'k-id' },
    },
  )
  const { tags = {}, localEndpoint } = named(spans, 'GET /orders/7')
  assert.deepEqual(localEndpoint, { serviceName: 'gateway' })
  assert.equal(tags['zone'], 'a')
  assert.equal(tags['user'], 'ann')
  assert.equal(tags['order'], '7')
  assert.equal(tags['more'], 'b=c')
  assert.equal(Object.getOwnPropertyDescriptor(tags, '__proto__')?.value, 'z')
  assert.equal(tags['two words'], undefined)
  assert.equal(tags['kong.consumer'], 'c-id')
  assert.equal(tags['kong.credential'], 'k-id')
  const without = run({ include_credential: false, tags_header: 'X-Tags' }, { credential: { id: 'k-id' } })
  assert.equal(named(without.spans, 'GET').tags?.['kong.credential'], undefined)
})

test('durations of phases are tags where that is configured', () => {
  const { spans } = run({ phase_duration_flavor: 'tags' })
  const { tags = {}, annotations } = named(spans, 'GET (proxy)')
  assert.deepEqual(annotations, [])
  for (const phase of ['access', 'header_filter', 'body_filter'])
    assert.ok(Number(tags[`kong.${phase}.duration_ms`]) >= 0, phase)
  assert.ok(Number(named(spans, 'GET').tags?.['kong.rewrite.duration_ms']) >= 0)
})

test('the client gets the id of the trace in the field that is configured', () => {
  const { exchange, spans } = run({ http_response_header_for_traceid: 'X-Trace', sample_ratio: 1 })
  assert.equal(exchange.response.headers.get('x-trace'), spans[0]!.traceId)
})

test('a request that matched no route is reported, and a service that is not there is called by default_service_name', () => {
  const delivery = new FakeDelivery()
  const config = { http_endpoint: 'http://127.0.0.1:9/', sample_ratio: 1, default_service_name: 'nobody' }
  const state = prepare(zipkin, config, { delivery })
  const exchange = fakeExchange({ headers: { traceparent: `00-${TRACE}-${SPAN}-01` }, response: { status: 404 } })
  zipkin.responseHeaders?.(exchange, state)
  exchange.totalLatencyMs = 1
  zipkin.log?.(exchange, state)
  const spans = delivery.queues[0]!.entries.map((text) => JSON.parse(text as string) as ZipkinSpan)
  assert.deepEqual(
    spans.map(({ name, traceId }) => [name, traceId]),
    [
      ['GET (proxy)', TRACE],
      ['GET', TRACE],
    ],
  )
  assert.deepEqual(spans[0]!.remoteEndpoint, { serviceName: 'nobody' })
  assert.equal(exchange.request.headers.get('traceparent'), `00-${TRACE}-${SPAN}-01`)
})

test('a session below HTTP is a stream', () => {
  const delivery = new FakeDelivery()
  const state = prepare(zipkin, { http_endpoint: 'http://127.0.0.1:9/', sample_ratio: 1 }, { delivery })
  const exchange = fakeExchange({ service: { id: 's-id', name: 'db' }, route: { id: 'r-id' } })
  exchange.sessionProtocol = 'tcp'
  void zipkin.preread?.(exchange, state)
  exchange.totalLatencyMs = 5
  zipkin.sessionLog?.(exchange, state)
  const spans = delivery.queues[0]!.entries.map((text) => JSON.parse(text as string) as ZipkinSpan)
  assert.deepEqual(
    spans.map(({ name }) => name),
    ['stream (proxy)', 'stream'],
  )
  assert.deepEqual(
    spans[0]!.annotations?.map(({ value }) => value),
    ['kps', 'kpf'],
  )
  assert.deepEqual(spans[1]!.tags, { lc: 'kong', 'kong.node.id': NODE })
})

test('what is hidden in logs is hidden here', () => {
  const delivery = new FakeDelivery({ log_mask_patterns: ['card'] })
  const state = prepare(
    zipkin,
    { http_endpoint: 'http://127.0.0.1:9/', sample_ratio: 1, http_span_name: 'method_path' },
    { delivery },
  )
  const exchange = fakeExchange({
    path: '/pay/4111111111111111',
    headers: { 'Zipkin-Tags': 'card=4111 1111 1111 1111' },
  })
  void zipkin.access?.(exchange, state)
  zipkin.log?.(exchange, state)
  assert.doesNotMatch(JSON.stringify(delivery.queues[0]!.entries), /4111[ 1]{5,}/)
})

test('without an endpoint traces are passed on and not reported', () => {
  const { exchange, spans } = run({ http_endpoint: null })
  assert.equal(spans.length, 0)
  assert.equal(exchange.request.headers.get('x-b3-sampled'), '1')
})

test('a configuration that can not be is refused with the field', () => {
  const wrong: readonly (readonly [config: object, field: string])[] = [
    [{ http_endpoint: 'nowhere' }, 'http_endpoint'],
    [{ sample_ratio: 2 }, 'sample_ratio'],
    [{ traceid_byte_count: 4 }, 'traceid_byte_count'],
    [{ header_type: 'x' }, 'header_type'],
    [{ default_header_type: 'preserve' }, 'default_header_type'],
    [{ static_tags: [{ name: 'lc', value: 'a' }] }, 'static_tags.0.name'],
    [
      {
        static_tags: [
          { name: 'a', value: 'a' },
          { name: 'a', value: 'b' },
        ],
      },
      'static_tags',
    ],
    [{ phase_duration_flavor: 'x' }, 'phase_duration_flavor'],
    [{ propagation: { extract: ['x'], default_format: 'b3' } }, 'propagation.extract.0'],
    [{ propagation: { inject: ['x'], default_format: 'b3' } }, 'propagation.inject.0'],
    [{ propagation: { extract: ['b3'], default_format: null } }, 'propagation.default_format'],
  ]
  for (const [config, field] of wrong)
    assert.throws(() => prepare(zipkin, config), { code: 'CONFIG_INVALID', field }, JSON.stringify(config))
})
