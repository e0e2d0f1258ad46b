/** Traces through a whole gateway: what the upstream gets, what a Zipkin server and an OTLP collector get. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { adminCall } from '../support/admin-call.ts'
import { isFullEffort } from '../support/effort.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startHttpReceiver, startTcpReceiver } from '../support/log-receivers.ts'
import { readLogs, readTraces, type ReadSpan } from '../support/otlp.ts'
import { requirePart, type Program } from '../support/parts.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'
import { startZipkin } from '../support/zipkin-server.ts'

const TRACE = '80f198ee56343ba864fe8b2a57d3eff7'
const SPAN = 'e457b5a2e4d86bd1'
const DECODER = path.resolve(import.meta.dirname, '..', 'compat', 'otlp', 'decode.py')

const streamPort = await freePort()
let upstream: Upstream
let gateway: Gateway

before(async () => {
  upstream = await startUpstream()
  gateway = await startGateway({
    database: 'sqlite',
    settings: {
      stream_listen: `127.0.0.1:${streamPort}`,
      tracing_instrumentations: 'all',
      tracing_sampling_rate: '1',
      log_mask_arguments: 'token',
      // A worker that is late turns requests away before any plugin sees them.
      overload_delay: '0',
      worker_silence_timeout: '60s',
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

const admin = (method: string, target: string, body?: object) => adminCall(gateway, method, target, body)

let services = 0

/** A route to the upstream with these plugins. */
async function routeWith(plugins: Readonly<Record<string, object>>, port = upstream.port): Promise<string> {
  const name = `s${++services}`
  await admin('PUT', `/services/${name}`, { url: `http://127.0.0.1:${port}`, retries: 1 })
  await admin('PUT', `/services/${name}/routes/${name}`, { paths: [`/${name}`] })
  for (const [plugin, config] of Object.entries(plugins))
    await admin('POST', `/routes/${name}/plugins`, { name: plugin, config })
  return `${gateway.proxyUrl}/${name}`
}

async function get(url: string, headers: Record<string, string> = {}): Promise<Response> {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(20_000) })
  await response.arrayBuffer()
  return response
}

const lastHeaders = () => upstream.received.at(-1)!.headers

test('zipkin reports the spans of a request in one batch, and the upstream goes on with the trace', async () => {
  await using receiver = await startHttpReceiver()
  const url = await routeWith({
    zipkin: {
      http_endpoint: `http://127.0.0.1:${receiver.port}/api/v2/spans`,
      queue: { max_batch_size: 3, max_coalescing_delay: 5 },
      http_response_header_for_traceid: 'X-Trace',
    },
  })
  const response = await get(`${url}/a?token=t`, { 'X-B3-TraceId': TRACE, 'X-B3-SpanId': SPAN, 'X-B3-Sampled': '1' })
  assert.equal(response.headers.get('x-trace'), TRACE)
  await waitUntil('the spans are there', () => receiver.requests.length === 1)
  const [{ url: at, headers, body }] = receiver.requests as [(typeof receiver.requests)[number]]
  assert.deepEqual([at, headers['content-type']], ['/api/v2/spans', 'application/json'])
  const spans = JSON.parse(body) as any[]
  assert.deepEqual(
    spans.map(({ name, traceId }) => [name, traceId]),
    [
      ['GET (balancer try 1)', TRACE],
      ['GET (proxy)', TRACE],
      ['GET', TRACE],
    ],
  )
  const [, proxy, request] = spans
  assert.equal(lastHeaders()['x-b3-spanid'], proxy.id)
  assert.equal(lastHeaders()['x-b3-parentspanid'], SPAN)
  assert.equal(request.id, SPAN)
  const marks: number[] = [...request.annotations, ...proxy.annotations].map(({ timestamp }: any) => timestamp)
  for (const mark of marks)
    assert.ok(mark >= request.timestamp && mark <= request.timestamp + request.duration, String(mark))
})

test('opentelemetry exports the spans of a request, its plugins and tries', async (t) => {
  await using receiver = await startHttpReceiver()
  const url = await routeWith({
    'key-auth': { key_names: ['apikey'], anonymous: (await admin('PUT', '/consumers/nobody', {})).id },
    cors: {},
    opentelemetry: {
      traces_endpoint: `http://127.0.0.1:${receiver.port}/v1/traces`,
      logs_endpoint: `http://127.0.0.1:${receiver.port}/v1/logs`,
      headers: { 'X-Token': 'secret' },
      resource_attributes: { 'service.name': 'edge', zone: 'a' },
      queue: { max_batch_size: 200, max_coalescing_delay: 0.2 },
    },
  })
  await get(`${url}/a?token=t`, { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'vendor=1' })
  await waitUntil('both are there', () => receiver.requests.length >= 2)
  const of = (at: string) => receiver.requests.find(({ url: its }) => its === at)!
  const traces = of('/v1/traces')
  assert.deepEqual([traces.headers['content-type'], traces.headers['x-token']], ['application/x-protobuf', 'secret'])
  const { resource, entries } = readTraces(traces.bytes)
  assert.equal(resource['service.name'], 'edge')
  assert.equal(resource['zone'], 'a')
  assert.match(String(resource['service.instance.id']), /^[0-9a-f-]{36}$/)
  const names = entries.map(({ name }) => name)
  assert.deepEqual(names, [
    'kong',
    'kong.router',
    'kong.access.plugin.cors',
    'kong.access.plugin.key-auth',
    'kong.access.plugin.opentelemetry',
    'kong.header_filter.plugin.cors',
    'kong.header_filter.plugin.opentelemetry',
    'kong.balancer',
  ])
  const root = entries[0] as ReadSpan
  assert.deepEqual([root.traceId, root.parentId, root.attributes['http.status_code']], [TRACE, SPAN, 200n])
  assert.match(String(root.attributes['http.url']), /\/a\?token=REDACTED$/)
  for (const { start, end, parentId } of entries.slice(1))
    assert.ok(start >= root.start && end <= root.end && start <= end && parentId === root.spanId)
  assert.equal(lastHeaders()['traceparent'], `00-${TRACE}-${entries.at(-1)!.spanId}-01`)
  assert.equal(lastHeaders()['tracestate'], 'vendor=1')
  const logs = readLogs(of('/v1/logs').bytes)
  assert.deepEqual([logs.entries.length, logs.entries[0]!.traceId], [1, TRACE])
  assert.equal(logs.entries[0]!.body.response.status, 200n)

  const decoder = await requirePart(t, 'otlp')
  if (!decoder) return
  const [official, officialLogs] = await decodeOfficially(decoder, [
    ['traces', traces.bytes],
    ['logs', of('/v1/logs').bytes],
  ])
  const [{ scopeSpans }] = official.resourceSpans
  assert.deepEqual(scopeSpans[0].scope, { name: 'kong-internal', version: '0.1.0' })
  assert.deepEqual(
    scopeSpans[0].spans.map((span: any) => [
      span.name,
      Buffer.from(span.traceId, 'base64').toString('hex'),
      span.kind,
      span.startTimeUnixNano,
    ]),
    entries.map(({ name, traceId, kind, start }) => [
      name,
      traceId,
      ['', 'SPAN_KIND_INTERNAL', 'SPAN_KIND_SERVER', 'SPAN_KIND_CLIENT'][kind],
      String(start),
    ]),
  )
  assert.deepEqual(scopeSpans[0].spans[0].attributes.find(({ key }: any) => key === 'http.status_code').value, {
    intValue: '200',
  })
  const [record] = officialLogs.resourceLogs[0].scopeLogs[0].logRecords
  assert.deepEqual([record.severityNumber, record.severityText], ['SEVERITY_NUMBER_INFO', 'INFO'])
  assert.equal(Buffer.from(record.traceId, 'base64').toString('hex'), TRACE)
  assert.ok(record.body.kvlistValue.values.some(({ key }: any) => key === 'request'))
})

test('a failed try is a span of its own, and a collector that refuses is asked again', async () => {
  await using receiver = await startHttpReceiver()
  receiver.statuses.push(503, 202)
  const dead = await startUpstream()
  await dead.close()
  const url = await routeWith(
    {
      opentelemetry: {
        traces_endpoint: `http://127.0.0.1:${receiver.port}/v1/traces`,
        queue: { max_coalescing_delay: 0.1, max_batch_size: 200 },
      },
    },
    dead.port,
  )
  const response = await get(url)
  assert.equal(response.status, 502)
  await waitUntil('it was taken', () => receiver.requests.length === 3)
  assert.equal(new Set(receiver.requests.map(({ body }) => body)).size, 1)
  const { entries } = readTraces(receiver.requests[2]!.bytes)
  const tries = entries.filter(({ name }) => name === 'kong.balancer')
  assert.deepEqual(
    tries.map(({ status, attributes }) => [status, attributes['try_count'], attributes['http.status_code']]),
    [
      [2, 1, 502n],
      [2, 2, 502n],
    ],
  )
  assert.equal(entries[0]!.status, 2)
})

test('zipkin and opentelemetry on one request share the trace, one below the other', async () => {
  await using receiver = await startHttpReceiver()
  const at = `http://127.0.0.1:${receiver.port}`
  const url = await routeWith({
    zipkin: { http_endpoint: `${at}/zipkin`, sample_ratio: 1, queue: { max_batch_size: 3 } },
    opentelemetry: { traces_endpoint: `${at}/otlp`, queue: { max_coalescing_delay: 0.1, max_batch_size: 200 } },
  })
  await get(url)
  await waitUntil('both are there', () => receiver.requests.length >= 2)
  const zipkin = JSON.parse(receiver.requests.find(({ url: its }) => its === '/zipkin')!.body) as any[]
  const { entries } = readTraces(receiver.requests.find(({ url: its }) => its === '/otlp')!.bytes)
  const proxy = zipkin.find(({ name }) => name === 'GET (proxy)')
  assert.deepEqual([entries[0]!.traceId, entries[0]!.parentId], [proxy.traceId, proxy.id])
  assert.equal(lastHeaders()['x-b3-traceid'], proxy.traceId)
  assert.equal(lastHeaders()['x-b3-spanid'], entries.at(-1)!.spanId)
})

test('zipkin reports a session below HTTP', async () => {
  await using receiver = await startHttpReceiver()
  await using lines = await startTcpReceiver()
  await admin('PUT', '/services/lines', { protocol: 'tcp', host: '127.0.0.1', port: lines.port })
  const route = { protocols: ['tcp'], destinations: [{ port: streamPort }], service: { name: 'lines' } }
  await admin('PUT', '/routes/lines', route)
  await admin('POST', '/routes/lines/plugins', {
    name: 'zipkin',
    protocols: ['tcp'],
    config: { http_endpoint: `http://127.0.0.1:${receiver.port}/`, sample_ratio: 1, queue: { max_batch_size: 3 } },
  })
  const client = connect(streamPort, '127.0.0.1')
  client.on('error', () => undefined)
  client.write('hello\n')
  await waitUntil('the line has come', () => lines.lines().length === 1)
  lines.drop()
  await waitUntil('the spans are there', () => receiver.requests.length === 1)
  const spans = JSON.parse(receiver.requests[0]!.body) as any[]
  assert.deepEqual(
    spans.map(({ name }) => name),
    ['stream (balancer try 1)', 'stream (proxy)', 'stream'],
  )
  assert.deepEqual(spans[1].remoteEndpoint, { serviceName: 'lines', port: lines.port, ipv4: '127.0.0.1' })
  assert.equal(spans[1].tags['kong.service_name'], 'lines')
})

test('malformed fields of any format reach the upstream or are replaced, and no request fails', async () => {
  const url = await routeWith({
    zipkin: { sample_ratio: 0 },
    opentelemetry: { traces_endpoint: 'http://127.0.0.1:9/' },
  })
  const broken = {
    traceparent: '00-zz-1-1',
    b3: '---',
    'uber-trace-id': ':::',
    'x-datadog-trace-id': '9'.repeat(5000),
    'x-amzn-trace-id': 'Root;Parent=;=',
    'x-cloud-trace-context': '/;o=',
    'ot-tracer-traceid': '%',
    tracestate: 'b3=',
  }
  for (const [name, value] of Object.entries(broken))
    assert.equal((await get(url, { [name]: value })).status, 200, name)
  assert.equal((await get(url, broken)).status, 200)
})

test('a real Zipkin server has the trace', { skip: !isFullEffort() && 'npm run test:parts' }, async (t) => {
  const program = await requirePart(t, 'zipkin')
  if (!program) return
  await using zipkin = await startZipkin(program)
  const url = await routeWith({
    zipkin: {
      http_endpoint: zipkin.endpoint,
      http_response_header_for_traceid: 'X-Trace',
      static_tags: [{ name: 'zone', value: 'a' }],
      queue: { max_batch_size: 20, max_coalescing_delay: 0.1 },
    },
  })
  for (const headers of [
    { 'X-B3-TraceId': TRACE, 'X-B3-SpanId': SPAN, 'X-B3-Sampled': '1', 'Zipkin-Tags': 'user=ann' },
    { traceparent: `00-${TRACE.replace('8', '7')}-${SPAN}-01` },
    { b3: `64fe8b2a57d3eff7-${SPAN}-d` },
  ]) {
    const id = (await get(`${url}/a`, headers)).headers.get('x-trace')!
    let spans: any[] = []
    await waitUntil('it has the trace', async () => {
      spans = await zipkin.trace(id)
      return spans.length === 3
    })
    const names = spans.map(({ name }): string => name).toSorted()
    // It keeps names in lower case.
    assert.deepEqual(names, ['get', 'get (balancer try 1)', 'get (proxy)'])
    const request = spans.find(({ name }) => name === 'get')
    assert.deepEqual([request.kind, request.tags['zone'], request.tags['http.status_code']], ['SERVER', 'a', '200'])
    assert.equal(request.tags['user'], 'Zipkin-Tags' in headers ? 'ann' : undefined)
    assert.equal(spans.find(({ name }) => name === 'get (proxy)').annotations.length, 6)
  }
})

/** What OpenTelemetry's own definitions make of the bytes. */
async function decodeOfficially(program: Program, messages: readonly (readonly [string, Buffer])[]): Promise<any[]> {
  const output = await new Promise<string>((resolve, reject) => {
    const child = execFile(
      program.command,
      [DECODER],
      { env: { ...process.env, ...program.env }, timeout: 30_000 },
      (error, stdout) => (error === null ? resolve(stdout) : reject(error)),
    )
    child.stdin!.end(messages.map(([kind, bytes]) => `${kind} ${bytes.toString('base64')}\n`).join(''))
  })
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}
