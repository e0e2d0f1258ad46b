import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderList } from '#http/header-list.ts'
import { cleanResponseFields, clientFraming, ownHead, proxiedHead, type ClientFraming } from './client-head.ts'
import { exchangeOf, REQUEST_ID, requestHead, responseHead, someConnection, someSettings } from './testing.ts'
import type { ProxySettings } from './settings.ts'

const CLOCK = { date: 'Tue, 01 Jan 2030 00:00:00 GMT' }

function anExchange() {
  return exchangeOf(requestHead('GET / HTTP/1.1', 'Host: gw.test'), someConnection())
}

interface Passing {
  readonly line?: string
  /** What a plugin made of the status. */
  readonly status?: number
  readonly framing?: ClientFraming
  readonly isLast?: boolean
  readonly keepsTrailer?: boolean
  readonly settings?: ProxySettings
}

/** The lines that the client gets of an upstream's response with these fields. */
function passed(fields: readonly string[], passing: Passing = {}): string[] {
  const head = responseHead(passing.line ?? 'HTTP/1.1 200 OK', 'Content-Length: 5', ...fields)
  const exchange = anExchange()
  exchange.response.status = passing.status ?? head.status
  exchange.response.headers = head.headers
  exchange.upstreamStatus = head.status
  exchange.upstreamLatencyMs = 12.6
  exchange.proxyLatencyMs = 1.4
  cleanResponseFields(head)
  const text = proxiedHead(
    exchange,
    head,
    passing.framing ?? 5,
    passing.isLast ?? false,
    passing.keepsTrailer ?? false,
    passing.settings ?? someSettings(),
    CLOCK,
  )
  assert.ok(text.endsWith('\r\n\r\n'))
  return text.slice(0, -4).split('\r\n')
}

const valuesOf = (lines: readonly string[], name: string) =>
  lines.flatMap((line) =>
    line.toLowerCase().startsWith(`${name.toLowerCase()}: `) ? [line.slice(name.length + 2)] : [],
  )

test('the upstream’s fields come first, as they were written and in their order, then those of the gateway', () => {
  assert.deepEqual(passed(['x-B: 1', 'Set-Cookie: a=1', 'X-a: 2', 'Set-Cookie: b=2']), [
    'HTTP/1.1 200 OK',
    'x-B: 1',
    'Set-Cookie: a=1',
    'X-a: 2',
    'Set-Cookie: b=2',
    'Content-Length: 5',
    `Date: ${CLOCK.date}`,
    'Server: meridian/1',
    'Connection: keep-alive',
    'X-Kong-Upstream-Latency: 13',
    'X-Kong-Proxy-Latency: 1',
    'Via: 1.1 meridian/1',
    `X-Kong-Request-Id: ${REQUEST_ID}`,
  ])
})

test('Date and Server of the upstream stay', () => {
  const lines = passed(['Server: up', 'Date: Mon, 31 Dec 2029 00:00:00 GMT'])
  assert.deepEqual(valuesOf(lines, 'Server'), ['up'])
  assert.deepEqual(valuesOf(lines, 'Date'), ['Mon, 31 Dec 2029 00:00:00 GMT'])
})

test('the upstream’s words for its status stay, those of a changed one are the usual ones', () => {
  assert.equal(passed([], { line: 'HTTP/1.1 200 Fine' })[0], 'HTTP/1.1 200 Fine')
  assert.equal(passed([], { line: 'HTTP/1.1 200 Fine', status: 404 })[0], 'HTTP/1.1 404 Not Found')
})

test('what was meant for this hop ends here, and so does everything that Connection names', () => {
  const lines = passed([
    'Connection: close, X-Hop',
    'Connection: Upgrade, x-other',
    'X-Hop: 1',
    'X-OTHER: 2',
    'X-Kept: 3',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: close',
    'Upgrade: h2c',
    'X-Accel-Redirect: /internal',
    'X-Accel-Buffering: no',
    'X-Kong-Request-Id: of-the-upstream',
  ])
  assert.deepEqual(lines.slice(1, 3), ['X-Kept: 3', 'Content-Length: 5'])
  assert.deepEqual(valuesOf(lines, 'Connection'), ['keep-alive'])
  assert.deepEqual(valuesOf(lines, 'X-Kong-Request-Id'), [REQUEST_ID])
  assert.deepEqual(valuesOf(passed([], { isLast: true }), 'Connection'), ['close'])
})

test('Trailer is told to clients that read trailers', () => {
  assert.deepEqual(valuesOf(passed(['Trailer: X-Sum']), 'Trailer'), [])
  assert.deepEqual(valuesOf(passed(['Trailer: X-Sum'], { keepsTrailer: true, framing: 'chunked' }), 'Trailer'), [
    'X-Sum',
  ])
})

test('a body has its length where that is known, else chunks, and for HTTP/1.0 the end of the connection', () => {
  assert.equal(clientFraming(true, 5, 200, 1), 5)
  assert.equal(clientFraming(true, 0, 200, 1), 0)
  assert.equal(clientFraming(true, -1, 200, 1), 'chunked')
  assert.equal(clientFraming(true, -1, 200, 0), 'close')
  assert.equal(clientFraming(true, 5, 200, 0), 5)
})

test('a response without a body says the length that HEAD asked for, and nothing with 204', () => {
  assert.equal(clientFraming(false, 5, 200, 1), 5)
  assert.equal(clientFraming(false, -1, 200, 1), 'none')
  assert.equal(clientFraming(false, -1, 304, 1), 'none')
  assert.equal(clientFraming(false, 0, 204, 1), 'none')
})

test('the head says how the body goes, whatever the upstream said', () => {
  const framing = (value: ClientFraming) =>
    passed(['X: y'], { framing: value }).filter((line) => /^(content-length|transfer-encoding):/i.test(line))
  assert.deepEqual(framing(7), ['Content-Length: 7'])
  assert.deepEqual(framing('chunked'), ['Transfer-Encoding: chunked'])
  assert.deepEqual(framing('close'), [])
  assert.deepEqual(framing('none'), [])
})

test('Via goes on with every proxy before, and says the upstream’s version of HTTP', () => {
  const via = (fields: string[], passing: Passing = {}) => valuesOf(passed(fields, passing), 'Via')
  assert.deepEqual(via(['Via: 1.1 a', 'X: y', 'via: 1.0 b']), ['1.1 a, 1.0 b, 1.1 meridian/1'])
  assert.deepEqual(via([], { line: 'HTTP/1.0 200 OK' }), ['1.0 meridian/1'])
  assert.deepEqual(via(['Via: 1.1 a'], { settings: someSettings({ via: false }) }), [])
})

test('each of the gateway’s fields is there as the settings say', () => {
  const none = {
    via: false,
    server: false,
    proxyLatency: false,
    upstreamLatency: false,
    responseLatency: false,
    requestId: false,
  }
  assert.deepEqual(passed([], { settings: someSettings(none) }), [
    'HTTP/1.1 200 OK',
    'Content-Length: 5',
    `Date: ${CLOCK.date}`,
    'Connection: keep-alive',
  ])
  const lines = passed([], { status: 404, settings: someSettings({ ...none, upstreamStatus: true }) })
  assert.deepEqual(valuesOf(lines, 'X-Kong-Upstream-Status'), ['200'])
})

test('a latency beyond those that are made in advance is written all the same', () => {
  const exchange = anExchange()
  const head = responseHead('HTTP/1.1 200 OK', 'Content-Length: 0')
  exchange.response.status = 200
  exchange.response.headers = head.headers
  exchange.upstreamLatencyMs = 123_456.4
  const text = proxiedHead(exchange, head, 0, false, false, someSettings(), CLOCK)
  assert.match(text, /\r\nX-Kong-Upstream-Latency: 123456\r\n/)
})

test('nginx’s types of text get the charset where they say none', () => {
  const type = (value: string) => valuesOf(passed([`Content-Type: ${value}`]), 'Content-Type')
  assert.deepEqual(type('text/html'), ['text/html; charset=UTF-8'])
  assert.deepEqual(type('text/html; charset=latin1'), ['text/html; charset=latin1'])
  assert.deepEqual(type('application/json'), ['application/json'])
  assert.deepEqual(type('image/png'), ['image/png'])
})

test('an answer of the gateway’s own has its latency, and neither Via nor what an upstream would have', () => {
  const exchange = anExchange()
  exchange.response.status = 401
  const headers = new HeaderList()
  for (const [name, value] of [
    ['WWW-Authenticate', 'Key'],
    ['Content-Type', 'application/json'],
    ['Content-Length', '999'],
  ] as const)
    headers.append(name, value)
  exchange.response.headers = headers
  assert.deepEqual(ownHead(exchange, 26, true, 2.5, someSettings(), CLOCK).split('\r\n'), [
    'HTTP/1.1 401 Unauthorized',
    `Date: ${CLOCK.date}`,
    'WWW-Authenticate: Key',
    'Content-Type: application/json',
    'Content-Length: 26',
    'Connection: close',
    'X-Kong-Response-Latency: 3',
    'Server: meridian/1',
    `X-Kong-Request-Id: ${REQUEST_ID}`,
    '',
    '',
  ])
})
