import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange, PluginTools } from '#pdk'
import { fakeExchange, FakeDelivery, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { readLogs, readTraces, type ReadEntry, type ReadSpan } from '../../../test/support/otlp.ts'
import { Envelope } from './otlp.ts'
import { opentelemetry } from './plugin.ts'
import { isSampled, isWithinRate } from './sampling.ts'

const TRACE = '80f198ee56343ba864fe8b2a57d3eff7'
const SPAN = 'e457b5a2e4d86bd1'
const TRACES = { traces_endpoint: 'http://127.0.0.1:9/v1/traces' }
const around = (entries: readonly unknown[]) => new Envelope([]).around(entries as Buffer[])

interface Run {
  readonly config?: object
  readonly tools?: Partial<PluginTools>
  readonly options?: FakeExchangeOptions
  readonly skipsAccess?: boolean
  readonly change?: (exchange: Exchange) => void
}

function run({ config = TRACES, tools = {}, options = {}, skipsAccess = false, change }: Run = {}) {
  const delivery = new FakeDelivery({ log_mask_arguments: ['token'], log_mask_patterns: ['card'] })
  const state = prepare(opentelemetry, config, { delivery, ...tools })
  const exchange = fakeExchange({
    path: '/orders/7?token=secret&n=1',
    route: { id: 'r-id', name: 'all', paths: ['/orders'] },
    clientIp: '10.0.0.9',
    response: { status: 200 },
    ...options,
  })
  if (!skipsAccess) void opentelemetry.access?.(exchange, state)
  const startMs = exchange.startedAtMs
  exchange.upstream.host = 'orders.internal'
  exchange.tries = [
    { ip: '10.0.0.1', port: 80, startedAtMs: startMs + 2, latencyMs: 2, state: 'next', code: 502 },
    { ip: '10.0.0.2', port: 81, startedAtMs: startMs + 5, latencyMs: 5, state: '', code: 0 },
  ]
  change?.(exchange)
  opentelemetry.responseHeaders?.(exchange, state)
  exchange.totalLatencyMs = 30
  opentelemetry.log?.(exchange, state)
  opentelemetry.close?.(state)
  const of = (name: string) => delivery.queues.find(({ options: { name: its } }) => its === name)?.entries ?? []
  const spans: readonly ReadSpan[] = of('traces').length === 0 ? [] : readTraces(around(of('traces'))).entries
  const logs: readonly ReadEntry[] = of('logs').length === 0 ? [] : readLogs(around(of('logs'))).entries
  return { exchange, spans, logs, delivery, state }
}

const names = (spans: readonly ReadSpan[]) => spans.map(({ name }) => name)

test("a request is Kong's spans, the last try being what the upstream gets as its parent", () => {
  const { exchange, spans } = run({
    change: (one) => {
      const nowMs = performance.now()
      one.phaseTimes = [
        { phase: 'rewrite', plugin: 'pre-function', startMs: nowMs, endMs: nowMs + 1 },
        { phase: 'access', plugin: 'key-auth', startMs: nowMs, endMs: nowMs + 1 },
        { phase: 'header_filter', plugin: 'cors', startMs: nowMs, endMs: nowMs + 1 },
      ]
    },
  })
  assert.deepEqual(names(spans), [
    'kong',
    'kong.router',
    'kong.rewrite.plugin.pre-function',
    'kong.access.plugin.key-auth',
    'kong.header_filter.plugin.cors',
    'kong.balancer',
    'kong.balancer',
  ])
  const [root, router, , , , first, last] = spans as [ReadSpan, ReadSpan, any, any, any, ReadSpan, ReadSpan]
  assert.equal(root.parentId, '')
  assert.deepEqual([root.kind, router.kind, first.kind], [2, 1, 3])
  for (const { traceId, parentId } of spans.slice(1)) assert.deepEqual([traceId, parentId], [root.traceId, root.spanId])
  assert.deepEqual(root.attributes, {
    'http.method': 'GET',
    'http.url': 'http://gw.test/orders/7?token=REDACTED&n=1',
    'http.host': 'gw.test',
    'http.scheme': 'http',
    'http.flavor': '1.1',
    'http.client_ip': '10.0.0.9',
    'net.peer.ip': '10.0.0.9',
    'kong.request.id': exchange.id,
    'http.status_code': 200n,
    'http.route': '/orders',
  })
  const peer = { 'net.peer.name': 'orders.internal' }
  assert.deepEqual(first.attributes, {
    try_count: 1,
    'net.peer.ip': '10.0.0.1',
    'net.peer.port': 80,
    ...peer,
    'http.status_code': 502n,
  })
  assert.deepEqual(last.attributes, { try_count: 2, 'net.peer.ip': '10.0.0.2', 'net.peer.port': 81, ...peer })
  assert.deepEqual([first.status, last.status, root.status], [2, 0, 0])
  assert.equal(
    exchange.request.headers.get('traceparent'),
    `00-${root.traceId}-${last.spanId}-01`,
    'the upstream is below the last try',
  )
  const startNs = BigInt(exchange.startedAtMs) * 1_000_000n
  assert.deepEqual([root.start, root.end - root.start], [startNs, 30_000_000n])
  assert.deepEqual([last.start - startNs, last.end], [5_000_000n, root.end])
  for (const { start, end } of spans) assert.ok(start >= root.start && end <= root.end && start <= end)
})

test('the trace of the sender goes on, with its decision', () => {
  const sampled = run({ options: { headers: { traceparent: `00-${TRACE}-${SPAN}-01` } } })
  assert.deepEqual([sampled.spans[0]!.traceId, sampled.spans[0]!.parentId], [TRACE, SPAN])
  const dropped = run({ options: { headers: { traceparent: `00-${TRACE}-${SPAN}-00` } } })
  assert.equal(dropped.spans.length, 0)
  assert.match(dropped.exchange.request.headers.get('traceparent')!, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
  const b3 = run({ options: { headers: { b3: '64fe8b2a57d3eff7-e457b5a2e4d86bd1-1' } } })
  assert.equal(b3.spans[0]!.traceId, '000000000000000064fe8b2a57d3eff7')
  assert.match(b3.exchange.request.headers.get('b3')!, /^64fe8b2a57d3eff7-/)
})

test('a rate decides by the id of the trace, and a strategy says what the sender may', () => {
  const low = '0'.repeat(31) + '1'
  const high = 'f'.repeat(32)
  assert.deepEqual(
    [isWithinRate(low, 0), isWithinRate(low, 0.1), isWithinRate(high, 0.9), isWithinRate(high, 1)],
    [false, true, false, true],
  )
  assert.equal(isSampled(true, high, 0.5, 'parent_probability_fallback'), true)
  assert.equal(isSampled(true, high, 0.5, 'parent_drop_probability_fallback'), false)
  assert.equal(isSampled(false, low, 1, 'parent_drop_probability_fallback'), false)
  assert.equal(isSampled(null, low, 0.5, 'parent_probability_fallback'), true)
  assert.equal(run({ config: { ...TRACES, sampling_rate: 0 } }).spans.length, 0)
  const tools = { tracing: { instrumentations: ['all'], samplingRate: 0 } }
  assert.equal(run({ tools }).spans.length, 0)
  assert.ok(run({ tools, config: { ...TRACES, sampling_rate: 1 } }).spans.length > 0)
})

test('sample_errors exports what failed whatever the decision was', () => {
  const config = { ...TRACES, sampling_rate: 0, sample_errors: true }
  assert.equal(run({ config }).spans.length, 0)
  const failed = run({ config, options: { response: { status: 502 } } })
  assert.equal(failed.spans[0]!.status, 2)
  assert.match(failed.exchange.request.headers.get('traceparent')!, /-00$/)
  const threw = run({
    config,
    change: (exchange) => {
      exchange.error = new Error('paid with 4111 1111 1111 1111')
    },
  })
  assert.deepEqual(threw.spans[0]!.events, [
    { name: 'exception', attributes: { 'exception.message': 'paid with REDACTED' } },
  ])
})

test('only what tracing_instrumentations names is recorded', () => {
  const spansOf = (...instrumentations: string[]) => run({ tools: { tracing: { instrumentations, samplingRate: 1 } } })
  assert.deepEqual(names(spansOf('request').spans), ['kong'])
  assert.deepEqual(names(spansOf('request', 'balancer').spans), ['kong', 'kong.balancer', 'kong.balancer'])
  assert.deepEqual(names(spansOf('router').spans), ['kong', 'kong.router'])
  const { exchange, spans } = spansOf('request')
  assert.match(exchange.request.headers.get('traceparent')!, new RegExp(`${spans[0]!.spanId}-01$`))
})

test('with tracing_instrumentations off traces are passed on as not sampled, and the log says so once', () => {
  const warnings: object[] = []
  const log = { error: () => {}, info: () => {}, debug: () => {}, warn: (fields: object) => void warnings.push(fields) }
  const { exchange, spans, state } = run({ tools: { tracing: { instrumentations: [], samplingRate: 1 }, log } })
  assert.equal(spans.length, 0)
  assert.match(exchange.request.headers.get('traceparent')!, /-00$/)
  assert.equal(warnings.length, 1)
  assert.equal(opentelemetry.timesPhases?.(state), false)
  assert.equal(opentelemetry.timesPhases?.(run().state), true)
})

test('logs are the log record with the trace, and hide what log plugins hide', () => {
  const config = { logs_endpoint: 'http://127.0.0.1:9/v1/logs' }
  const { logs, spans, exchange, state } = run({ config, options: { response: { status: 404 } } })
  assert.equal(spans.length, 0)
  assert.equal(opentelemetry.timesPhases?.(state), false)
  const [entry] = logs as [ReadEntry]
  assert.deepEqual([entry.severity, entry.severityNumber, entry.flags], ['WARN', 13, 1])
  assert.equal(entry.body.request.uri, '/orders/7?token=REDACTED&n=1')
  assert.equal(entry.body.response.status, 404n)
  assert.equal(entry.attributes['kong.request.id'], exchange.id)
  assert.equal(entry.traceId, exchange.request.headers.get('traceparent')!.slice(3, 35))
  const of = (status: number) => run({ config, options: { response: { status } } }).logs[0]!.severity
  assert.deepEqual([of(200), of(500)], ['INFO', 'ERROR'])
})

test('a request that matched no route is reported, too', () => {
  const { spans } = run({
    skipsAccess: true,
    options: { headers: { traceparent: `00-${TRACE}-${SPAN}-01` }, route: null, response: { status: 404 } },
    change: (exchange) => {
      exchange.tries = []
    },
  })
  assert.deepEqual(names(spans), ['kong', 'kong.router'])
  assert.deepEqual([spans[0]!.traceId, spans[0]!.attributes['http.route']], [TRACE, ''])
})

test('the client gets the id of the trace in the field that is configured', () => {
  const { exchange, spans } = run({ config: { ...TRACES, http_response_header_for_traceid: 'X-Trace' } })
  assert.equal(exchange.response.headers.get('x-trace'), spans[0]!.traceId)
})

test('queues have the parameters of the configuration, also by their older names', () => {
  const both = { ...TRACES, logs_endpoint: 'http://127.0.0.1:9/' }
  const queues = run({ config: { ...both, batch_span_count: 7, batch_flush_delay: 5 } }).delivery.queues
  assert.deepEqual(
    queues.map(({ options: { name, parameters } }) => [name, parameters.maxBatchSize, parameters.maxCoalescingMs]),
    [
      ['traces', 7, 5000],
      ['logs', 7, 5000],
    ],
  )
  assert.equal(run({ config: both }).delivery.queues[0]!.options.parameters.maxBatchSize, 200)
})

test('a configuration that can not be is refused with the field', () => {
  const wrong: readonly (readonly [config: object, field: string])[] = [
    [{}, ''],
    [{ traces_endpoint: 'nowhere' }, 'traces_endpoint'],
    [{ ...TRACES, logs_endpoint: 'x' }, 'logs_endpoint'],
    [{ ...TRACES, sampling_rate: -1 }, 'sampling_rate'],
    [{ ...TRACES, sampling_strategy: 'x' }, 'sampling_strategy'],
    [{ ...TRACES, resource_attributes: { a: '' } }, 'resource_attributes'],
    [{ ...TRACES, propagation: { inject: ['x'], default_format: 'w3c' } }, 'propagation.inject.0'],
  ]
  for (const [config, field] of wrong)
    assert.throws(
      () => prepare(opentelemetry, config),
      (error: any) => {
        assert.equal(error.code, 'CONFIG_INVALID')
        assert.ok(error.field.startsWith(field), `${error.field} for ${JSON.stringify(config)}`)
        return true
      },
    )
})
