import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { HeaderList } from '#http/header-list.ts'
import { Exchange, ClientRequest, ClientResponse } from '#pdk/exchange.ts'
import { accessVariables, compileFormat, createAccessFormatter, unknownVariables } from './access-format.ts'
import { openAccessLog } from './access-log.ts'
import { answeredEntry, logAccess } from './http-access.ts'
import { Masking } from './masking.ts'
import { latenciesOf, serializeExchange } from './serializer.ts'

/** Hides what always is. */
const NOTHING_MORE = new Masking({
  log_mask_headers: [],
  log_mask_arguments: [],
  log_mask_fields: [],
  log_mask_patterns: [],
  log_mask_regex: null,
})

const STARTED_MS = Date.UTC(2026, 10, 21, 9, 17, 52, 250)

/** A finished exchange of the plugin kit: that it is taken here is also the proof that its shape fits. */
function finished(change: (exchange: Exchange) => void = () => {}): Exchange {
  const body = { exists: false, limit() {}, copy() {}, replace() {}, read: () => Promise.resolve(Buffer.alloc(0)) }
  const request = new ClientRequest(
    HeaderList.from([
      ['Host', 'a.example'],
      ['User-Agent', 'curl/8'],
      ['Authorization', `Basic ${btoa('ann:secret')}`],
    ]),
    body,
  )
  Object.assign(request, {
    method: 'GET',
    rawPath: '/a%20b',
    query: 'x=1&x=2&flag&y=%C3%BC+z',
    host: 'a.example',
    port: 8000,
    clientIp: '10.1.2.3',
    bytesReceived: 120,
  })
  const response = new ClientResponse(HeaderList.from([['Content-Type', 'text/plain']]))
  Object.assign(response, { status: 200, bytesSent: 1234, headBytes: 200 })
  const exchange = new Exchange('0123456789abcdef0123456789abcdef', STARTED_MS, request, response)
  exchange.upstream.path = '/up/a%20b'
  Object.assign(exchange, { upstreamStatus: 200, proxyLatencyMs: 2, upstreamLatencyMs: 30.4, totalLatencyMs: 40 })
  exchange.tries = [
    { ip: '10.0.0.1', port: 80, startedAtMs: STARTED_MS + 2, latencyMs: 1, state: 'failed', code: 502 },
    { ip: '::1', port: 81, startedAtMs: STARTED_MS + 3, latencyMs: 1, state: '', code: 0 },
  ]
  change(exchange)
  return exchange
}

test('the default line is Kong’s', () => {
  const line = createAccessFormatter(null, null)(finished())
  assert.match(
    line,
    /^10\.1\.2\.3 - ann \[\d\d\/Nov\/2026:\d\d:\d\d:52 [+-]\d{4}\] "GET \/a%20b\?x=1&x=2&flag&y=%C3%BC\+z HTTP\/1\.1" 200 1034 "-" "curl\/8" kong_request_id: "0123456789abcdef0123456789abcdef"\n$/,
  )
  assert.doesNotMatch(createAccessFormatter('basic', null)(finished()), /kong_request_id/)
})

test('a line of the operator’s own may have any variable, headers included', () => {
  const format =
    '$upstream_addr|${request_time}|$upstream_response_time|$http_user_agent|$sent_http_content_type|$sent_http_etag|$ssl_protocol|$msec'
  assert.equal(
    compileFormat(format)(finished()),
    '10.0.0.1:80, [::1]:81|0.040|0.030|curl/8|text/plain|-|-|1795252672.290\n',
  )
  assert.deepEqual(unknownVariables('$remote_addr $tea ${http_x} $upstream_tea'), ['tea', 'upstream_tea'])
})

test('a format with an unknown variable is refused when the log is opened', () => {
  const options = { target: { to: 'stdout', format: 'custom' } as const, onError() {} }
  assert.throws(() => openAccessLog({ ...options, customFormat: '$status $tea' }), {
    code: 'SETTINGS_INVALID',
    message: /got \$tea$/,
  })
})

test('no value forges a line or a field', () => {
  const format = createAccessFormatter(null, null)
  const evil = fc.string({ unit: 'binary' })
  fc.assert(
    fc.property(evil, evil, (agent, target) => {
      const line = format(
        finished((exchange) => {
          exchange.request.rawPath = target
          exchange.request.query = null
          exchange.request.headers.set('User-Agent', agent)
        }),
      )
      assert.match(line, /^[\x20-\x7e]*\n$/)
      assert.equal(line.match(/"/g)!.length, 8)
    }),
  )
})

test('quotes and bytes beyond ASCII are escaped as nginx does', () => {
  const format = compileFormat('"$http_user_agent"')
  assert.equal(
    format(finished((exchange) => exchange.request.headers.set('User-Agent', 'a"b\\ü\n'))),
    '"a\\x22b\\x5C\\xC3\\xBC\\x0A"\n',
  )
})

test('the JSON form is one object a line', () => {
  const text = createAccessFormatter(
    'json',
    null,
  )(finished((exchange) => (exchange.error = new Error('UPSTREAM_CLOSED: reset'))))
  assert.ok(text.endsWith('}\n') && !text.slice(0, -1).includes('\n'))
  assert.partialDeepStrictEqual(JSON.parse(text), {
    time: '2026-11-21T09:17:52.250Z',
    status: 200,
    uri: '/a%20b?x=1&x=2&flag&y=%C3%BC+z',
    latencies: { kong: 10, proxy: 30, request: 40, receive: 8 },
    upstream: '[::1]:81',
    tries: 2,
    route: null,
    error: 'UPSTREAM_CLOSED: reset',
  })
})

test('the record for log plugins has Kong’s fields', () => {
  const route = { id: 'r1', name: 'route' }
  const record = serializeExchange(
    finished((exchange) => {
      exchange.request.tls = {
        version: 'TLSv1.3',
        cipher: 'TLS_AES_128_GCM_SHA256',
        clientVerify: 'NONE',
        clientCertificates: [],
      }
      exchange.request.headers.append('X-Many', '1')
      exchange.request.headers.append('x-many', '2')
      exchange.route = route as Exchange['route']
      exchange.consumer = { id: 'c1', username: 'ann' } as Exchange['consumer']
      exchange.credential = { id: 'k1', key: 'secret' }
      exchange.workspace = { id: 'w1', name: 'default' }
    }),
    NOTHING_MORE,
  )
  const { request, response, tries, ...rest } = JSON.parse(JSON.stringify(record)) as Record<
    string,
    Record<string, unknown>
  >
  assert.deepEqual(request, {
    id: '0123456789abcdef0123456789abcdef',
    uri: '/a%20b?x=1&x=2&flag&y=%C3%BC+z',
    url: 'http://a.example:8000/a%20b?x=1&x=2&flag&y=%C3%BC+z',
    querystring: { x: ['1', '2'], flag: true, y: 'ü z' },
    method: 'GET',
    headers: { host: 'a.example', 'user-agent': 'curl/8', authorization: 'REDACTED', 'x-many': ['1', '2'] },
    size: 120,
    tls: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', client_verify: 'NONE' },
  })
  assert.deepEqual(response, { status: 200, headers: { 'content-type': 'text/plain' }, size: 1234 })
  assert.deepEqual(tries, [
    {
      balancer_start: STARTED_MS + 2,
      balancer_start_ns: (STARTED_MS + 2) * 1e6,
      balancer_latency: 1,
      balancer_latency_ns: 1e6,
      ip: '10.0.0.1',
      port: 80,
      state: 'failed',
      code: 502,
    },
    {
      balancer_start: STARTED_MS + 3,
      balancer_start_ns: (STARTED_MS + 3) * 1e6,
      balancer_latency: 1,
      balancer_latency_ns: 1e6,
      ip: '::1',
      port: 81,
    },
  ])
  assert.deepEqual(rest, {
    upstream_uri: '/up/a%20b?x=1&x=2&flag&y=%C3%BC+z',
    upstream_status: '200',
    latencies: { kong: 10, proxy: 30, request: 40, receive: 8 },
    authenticated_entity: { id: 'k1', consumer_id: 'c1' },
    route,
    consumer: { id: 'c1', username: 'ann' },
    client_ip: '10.1.2.3',
    started_at: STARTED_MS,
    source: 'upstream',
    workspace: 'w1',
    workspace_name: 'default',
  })
})

test('what does not exist is left out of the record, and an answer of the gateway says so', () => {
  const record = serializeExchange(
    finished((exchange) => {
      Object.assign(exchange, { tries: [], upstreamStatus: 0, proxyLatencyMs: -1, upstreamLatencyMs: -1 })
      exchange.upstream.path = ''
      exchange.response.source = 'exit'
    }),
    NOTHING_MORE,
  )
  for (const key of ['tries', 'route', 'service', 'consumer', 'authenticated_entity', 'workspace'])
    assert.ok(!(key in record), key)
  assert.deepEqual(
    [record.source, record.upstream_status, record.upstream_uri, record.latencies],
    ['kong', '', '', { kong: 40, proxy: -1, request: 40, receive: 0 }],
  )
})

test('a session below HTTP has a record of its own, in Kong’s form', () => {
  const record = serializeExchange(
    finished((exchange) => {
      exchange.sessionProtocol = 'tcp'
      exchange.route = { id: 'r1', name: 'route' } as Exchange['route']
    }),
    NOTHING_MORE,
  ) as unknown as Record<string, unknown>
  const { tries, ...rest } = record
  assert.equal((tries as unknown[]).length, 2)
  assert.deepEqual(rest, {
    session: { received: 120, sent: 1234, status: 200, server_port: 0 },
    upstream: { received: 1234, sent: 120 },
    latencies: { kong: 2, session: 40 },
    route: { id: 'r1', name: 'route' },
    client_ip: '10.1.2.3',
    started_at: STARTED_MS,
  })
})

test('latencies are never negative, and kong and proxy make the whole', () => {
  const ms = fc.double({ min: -1, max: 1e5, noNaN: true })
  fc.assert(
    fc.property(ms, ms, ms, (proxyLatencyMs, upstreamLatencyMs, totalLatencyMs) => {
      const { kong, proxy, request, receive } = latenciesOf(
        Object.assign(finished(), { proxyLatencyMs, upstreamLatencyMs, totalLatencyMs }),
      )
      assert.ok(kong >= 0 && proxy >= -1 && request >= 0 && receive >= 0)
      if (proxy >= 0 && totalLatencyMs >= upstreamLatencyMs) assert.ok(Math.abs(kong + proxy - request) <= 1)
    }),
  )
})

test('a query that is no UTF-8 is shown as it came, and a huge one is cut', () => {
  const queryOf = (query: string) =>
    serializeExchange(
      finished((exchange) => (exchange.request.query = query)),
      NOTHING_MORE,
    ).request['querystring'] as Record<string, unknown>
  assert.equal(queryOf('a=%ff&b=%')['a'], '%ff')
  assert.equal(Object.keys(queryOf(Array.from({ length: 500 }, (_, at) => `k${at}=1`).join('&'))).length, 100)
  assert.deepEqual(Object.keys(queryOf('__proto__=1&constructor=2')), ['__proto__', 'constructor'])
})

test('an access log that is off does not exist', () => {
  assert.equal(openAccessLog({ target: { to: 'off' }, customFormat: null, onError() {} }), null)
})

test('a request to a server of node:http is a line like any other', async (context) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-access-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'admin_access.log')
  const log = openAccessLog({
    target: { to: 'file', path: file, format: null },
    customFormat: null,
    onError: (error) => assert.fail(error),
  })!
  const ended = Promise.withResolvers<void>()
  const server = createServer((request, response) => {
    logAccess({ log, newRequestId: () => 'id-1', now: () => STARTED_MS }, request, response)
    response.once('close', ended.resolve)
    response.writeHead(404).end('nothing')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => server.close())
  await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/services?size=1`)).text()
  await ended.promise
  await log.close()
  assert.match(
    readFileSync(file, 'utf8'),
    /^127\.0\.0\.1 - - \[.*\] "GET \/services\?size=1 HTTP\/1\.1" 404 \d+ "-" ".*" kong_request_id: "id-1"\n$/,
  )
})

test('a request that the Admin API answered is a line with the one who asked', () => {
  const facts = {
    id: 'id-2',
    method: 'PUT',
    path: '/services/a',
    status: 200,
    durationMs: 4,
    address: '::1',
    actor: 'ci',
  }
  const line = compileFormat('$remote_addr $consumer_username "$request" $status $request_time')(
    answeredEntry(facts, STARTED_MS),
  )
  assert.equal(line, '::1 ci "PUT /services/a HTTP/1.1" 200 0.004\n')
})

test('docs/logging.md lists every variable', () => {
  const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/logging.md'), 'utf8')
  for (const [name, { meaning }] of Object.entries(accessVariables))
    assert.ok(page.includes(`| \`$${name}\` | ${meaning} |`), name)
})
