import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exchangeOf, REQUEST_ID, requestHead, someConnection, someSettings } from './testing.ts'
import type { ProxySettings } from './settings.ts'
import { upstreamHead, type BodyFraming } from './upstream-head.ts'

interface Sending {
  readonly line?: string
  readonly isTrusted?: boolean
  readonly isUpgrade?: boolean
  readonly framing?: BodyFraming
  readonly settings?: ProxySettings
  readonly prefix?: string
}

/** The lines that the upstream gets of a request with these fields. */
function sent(fields: readonly string[], sending: Sending = {}): string[] {
  const connection = someConnection()
  const head = requestHead(sending.line ?? 'GET /a?b=c HTTP/1.1', 'Host: Gw.Test', ...fields)
  const exchange = exchangeOf(head, connection, sending.isTrusted)
  exchange.upstream.strippedPrefix = sending.prefix ?? null
  const text = upstreamHead(
    connection,
    exchange,
    head.method,
    head,
    'up.test:8080',
    sending.framing ?? 'none',
    sending.isUpgrade ?? false,
    sending.settings ?? someSettings(),
  )
  assert.ok(text.endsWith('\r\n\r\n'))
  return text.slice(0, -4).split('\r\n')
}

/** The values of a field among lines. */
const valuesOf = (lines: readonly string[], name: string) =>
  lines.flatMap((line) =>
    line.toLowerCase().startsWith(`${name.toLowerCase()}: `) ? [line.slice(name.length + 2)] : [],
  )

test('the client’s fields follow those of the gateway, as they were written and in their order', () => {
  assert.deepEqual(sent(['x-B: 1', 'Accept: */*', 'X-a_b: 2', 'x-B: 3']), [
    'GET /a?b=c HTTP/1.1',
    'Host: up.test:8080',
    'Connection: keep-alive',
    'X-Forwarded-For: 10.0.0.9',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: gw.test',
    'X-Forwarded-Port: 80',
    'X-Forwarded-Path: /a',
    'X-Real-IP: 10.0.0.9',
    'Via: 1.1 meridian/1',
    `X-Kong-Request-Id: ${REQUEST_ID}`,
    'x-B: 1',
    'Accept: */*',
    'X-a_b: 2',
    'x-B: 3',
  ])
})

test('a request with more to it gets the same lines in the same order as one without', () => {
  const plain = sent(['Accept: */*'], { prefix: '/p' })
  // TE takes the long way.
  const long = sent(['TE: trailers', 'Connection: te', 'Accept: */*'], { prefix: '/p' })
  assert.deepEqual(
    long.filter((line) => line !== 'TE: trailers'),
    plain,
  )
  assert.deepEqual(valuesOf(plain, 'X-Forwarded-Prefix'), ['/p'])
})

test('what was meant for this hop ends here, and so does everything that Connection names', () => {
  const lines = sent([
    'Connection: close, X-Hop,x-other',
    'Connection: keep-alive',
    'X-Hop: 1',
    'X-OTHER: 2',
    'X-Kept: 3',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Proxy: http://evil.test',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABk',
    'Expect: 100-continue',
  ])
  assert.deepEqual(lines.slice(11), ['X-Kept: 3'])
  assert.deepEqual(valuesOf(lines, 'Connection'), ['keep-alive'])
})

test('Connection takes neither Host nor the length of the body away', () => {
  const lines = sent(['Connection: host, content-length, transfer-encoding', 'Content-Length: 5'], {
    line: 'POST / HTTP/1.1',
    framing: 5,
  })
  assert.deepEqual(valuesOf(lines, 'Host'), ['up.test:8080'])
  assert.deepEqual(valuesOf(lines, 'Content-Length'), ['5'])
})

test('a body goes with its length, in chunks, or is not spoken of, whatever the client said', () => {
  const framings: [BodyFraming, string[]][] = [
    [5, ['Content-Length: 5']],
    [0, ['Content-Length: 0']],
    ['chunked', ['Transfer-Encoding: chunked']],
    ['none', []],
  ]
  for (const field of ['Content-Length: 7', 'Transfer-Encoding: chunked']) {
    for (const te of [[], ['TE: trailers']]) {
      for (const [framing, expected] of framings) {
        const lines = sent([field, ...te], { line: 'POST / HTTP/1.1', framing })
        assert.deepEqual(
          lines.filter((line) => /^(content-length|transfer-encoding):/i.test(line)),
          expected,
        )
      }
    }
  }
})

test('TE says only that trailers are understood, and only when the client did', () => {
  const te = (...fields: string[]) => valuesOf(sent(fields), 'TE')
  assert.deepEqual(te(), [])
  assert.deepEqual(te('TE: gzip'), [])
  assert.deepEqual(te('TE: trailers', 'Connection: TE'), ['trailers'])
  assert.deepEqual(te('TE: gzip;q=0.5, Trailers'), ['trailers'])
  assert.deepEqual(te('TE: gzip', 'TE: trailers'), ['trailers'])
  assert.deepEqual(te('TE: no-trailers'), [])
})

test('Via goes on with every proxy before, and says the client’s version of HTTP', () => {
  const via = (fields: string[], sending: Sending = {}) => valuesOf(sent(fields, sending), 'Via')
  assert.deepEqual(via(['Via: 1.1 a, 1.0 b']), ['1.1 a, 1.0 b, 1.1 meridian/1'])
  assert.deepEqual(via(['Via: 1.1 a', 'X: y', 'via: 1.0 b']), ['1.1 a, 1.0 b, 1.1 meridian/1'])
  assert.deepEqual(via([], { line: 'GET / HTTP/1.0' }), ['1.0 meridian/1'])
  assert.deepEqual(via(['Via: 1.1 a'], { settings: someSettings({ via: false }) }), [])
})

test('X-Forwarded-For grows by the address of who connected, trusted or not', () => {
  const list = (fields: string[], isTrusted: boolean) => valuesOf(sent(fields, { isTrusted }), 'X-Forwarded-For')
  assert.deepEqual(list([], true), ['10.0.0.9'])
  for (const isTrusted of [false, true]) {
    assert.deepEqual(list(['X-Forwarded-For: 1.2.3.4', 'x-forwarded-for: 5.6.7.8'], isTrusted), [
      '1.2.3.4, 5.6.7.8, 10.0.0.9',
    ])
  }
})

const CLAIMS = [
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: Public.Test',
  'X-Forwarded-Port: 443',
  'X-Forwarded-Path: /public',
  'X-Forwarded-Prefix: /prefix',
  'X-Real-IP: 1.2.3.4',
  'X-Kong-Request-Id: forged',
]

test('of anybody else than a trusted proxy nothing is believed', () => {
  const claimed = sent(CLAIMS, { prefix: '/p' })
  assert.deepEqual(claimed, sent([], { prefix: '/p' }))
})

test('what a trusted proxy says stands, and what it does not say is filled in', () => {
  const lines = sent(CLAIMS, { isTrusted: true, prefix: '/p' })
  assert.deepEqual(lines.slice(3, -2), [
    'X-Forwarded-For: 1.2.3.4',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: Public.Test',
    'X-Forwarded-Port: 443',
    'X-Forwarded-Path: /public',
    'X-Forwarded-Prefix: /prefix',
    'X-Real-IP: 1.2.3.4',
  ])
  assert.deepEqual(valuesOf(lines, 'X-Kong-Request-Id'), [REQUEST_ID])
  assert.deepEqual(sent([], { isTrusted: true, prefix: '/p' }), sent([], { prefix: '/p' }))
})

test('a WebSocket is asked for in the gateway’s own words', () => {
  const fields = ['Connection: Upgrade', 'Upgrade: WebSocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZQ==']
  const lines = sent(fields, { isUpgrade: true })
  assert.deepEqual(lines.slice(2, 4), ['Connection: keep-alive, Upgrade', 'Upgrade: websocket'])
  assert.deepEqual(valuesOf(lines, 'Sec-WebSocket-Key'), ['dGhlIHNhbXBsZQ=='])
  assert.deepEqual(valuesOf(lines, 'Upgrade').length, 1)
})

test('the request id is left out where the settings say so', () => {
  for (const fields of [[], ['TE: trailers']]) {
    const lines = sent(fields, { settings: someSettings({ requestIdUpstream: false }) })
    assert.deepEqual(valuesOf(lines, 'X-Kong-Request-Id'), [])
  }
})

test('requests of one connection share the lines that follow from it, and nothing else', () => {
  const connection = someConnection()
  const write = (line: string, host: string) => {
    const head = requestHead(line, `Host: ${host}`)
    const exchange = exchangeOf(head, connection)
    return upstreamHead(connection, exchange, head.method, head, host, 'none', false, someSettings()).split('\r\n')
  }
  const first = write('GET /one HTTP/1.1', 'one.test')
  const second = write('GET /two?q HTTP/1.1', 'two.test.')
  assert.notEqual(connection.note, null)
  assert.deepEqual(
    second.filter((line) => !first.includes(line)),
    ['GET /two?q HTTP/1.1', 'Host: two.test.', 'X-Forwarded-Host: two.test', 'X-Forwarded-Path: /two'],
  )
})
