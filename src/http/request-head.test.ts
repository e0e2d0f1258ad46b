import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, CONNECTION_NAMES, CONNECTION_UPGRADE } from './fields.ts'
import type { WireFailure } from './failure.ts'
import { parseRequestHead, RequestHead, type HeadLimits } from './request-head.ts'

const LIMITS: HeadLimits = { requestLineBytes: 100, headBytes: 8192, fields: 10 }

/** Parses with other bytes around, as in a read that holds more than one head. */
function parse(text: string): RequestHead | WireFailure {
  const before = 'x\r\n'
  const bytes = Buffer.from(before + text + 'GET /behind HTTP/1.1\r\nHost: b\r\n\r\n', 'latin1')
  return parseRequestHead(bytes, before.length, before.length + text.length, LIMITS)
}
function accept(text: string): RequestHead {
  const head = parse(text)
  assert.ok(head instanceof RequestHead, `accepts ${JSON.stringify(text)}: ${JSON.stringify(head)}`)
  return head
}

const line = (requestLine: string) => `${requestLine}\r\nHost: a\r\n\r\n`
const fields = (...lines: readonly string[]) =>
  `POST / HTTP/1.1\r\nHost: a\r\n${lines.map((l) => l + '\r\n').join('')}\r\n`
const hosts = (...lines: readonly string[]) => `GET / HTTP/1.1\r\n${lines.map((l) => l + '\r\n').join('')}\r\n`
const CHUNKED = 'Transfer-Encoding: chunked'

const REFUSED: readonly (readonly [what: string, text: string, status: number, code: string])[] = [
  // Framing: what two readers could take for two things.
  ['Content-Length and chunked', fields('Content-Length: 3', CHUNKED), 400, 'BAD_FRAMING'],
  ['chunked and Content-Length', fields(CHUNKED, 'Content-Length: 3'), 400, 'BAD_FRAMING'],
  ['two equal lengths', fields('Content-Length: 3', 'Content-Length: 3'), 400, 'BAD_HEADER'],
  ['two different lengths', fields('Content-Length: 3', 'content-length: 4'), 400, 'BAD_HEADER'],
  ['a list of equal lengths', fields('Content-Length: 3, 3'), 400, 'BAD_HEADER'],
  ['a list of lengths', fields('Content-Length: 3,4'), 400, 'BAD_HEADER'],
  ['a length with +', fields('Content-Length: +3'), 400, 'BAD_HEADER'],
  ['a length with -', fields('Content-Length: -3'), 400, 'BAD_HEADER'],
  ['a length with a space inside', fields('Content-Length: 3 3'), 400, 'BAD_HEADER'],
  ['a length in hexadecimal', fields('Content-Length: 0x3'), 400, 'BAD_HEADER'],
  ['a length with a point', fields('Content-Length: 3.0'), 400, 'BAD_HEADER'],
  ['a length with an exponent', fields('Content-Length: 3e1'), 400, 'BAD_HEADER'],
  ['an empty length', fields('Content-Length:'), 400, 'BAD_HEADER'],
  ['a length over 2^53', fields('Content-Length: 9007199254740993'), 400, 'BAD_HEADER'],
  ['a length over 2^64', fields('Content-Length: 18446744073709551619'), 400, 'BAD_HEADER'],
  ['a length in other digits', fields('Content-Length: \xb3'), 400, 'BAD_HEADER'],
  ['chunked twice', fields('Transfer-Encoding: chunked, chunked'), 501, 'NOT_IMPLEMENTED'],
  ['two Transfer-Encodings', fields(CHUNKED, CHUNKED), 400, 'BAD_HEADER'],
  ['two Transfer-Encodings, one identity', fields('Transfer-Encoding: identity', CHUNKED), 400, 'BAD_HEADER'],
  ['xchunked', fields('Transfer-Encoding: xchunked'), 501, 'NOT_IMPLEMENTED'],
  ['chunked with a parameter', fields('Transfer-Encoding: chunked;q=1'), 501, 'NOT_IMPLEMENTED'],
  ['chunked in quotes', fields('Transfer-Encoding: "chunked"'), 501, 'NOT_IMPLEMENTED'],
  ['chunked with a comma', fields('Transfer-Encoding: chunked,'), 501, 'NOT_IMPLEMENTED'],
  ['chunked with a comma before', fields('Transfer-Encoding: ,chunked'), 501, 'NOT_IMPLEMENTED'],
  ['chunked that is not last', fields('Transfer-Encoding: chunked, identity'), 501, 'NOT_IMPLEMENTED'],
  ['identity', fields('Transfer-Encoding: identity'), 501, 'NOT_IMPLEMENTED'],
  ['gzip, chunked', fields('Transfer-Encoding: gzip, chunked'), 501, 'NOT_IMPLEMENTED'],
  ['an empty Transfer-Encoding', fields('Transfer-Encoding:'), 501, 'NOT_IMPLEMENTED'],
  ['a vertical tab before chunked', fields('Transfer-Encoding: \x0bchunked'), 400, 'BAD_HEADER'],
  ['a tab behind chunked', fields('Transfer-Encoding: chunked \t '), 400, 'BAD_HEADER'],
  ['an odd space before chunked', fields('Transfer-Encoding: \xa0chunked'), 501, 'NOT_IMPLEMENTED'],
  ['chunked in HTTP/1.0', `POST / HTTP/1.0\r\nHost: a\r\n${CHUNKED}\r\n\r\n`, 400, 'BAD_FRAMING'],
  ['an unknown coding and a length', fields('Transfer-Encoding: x', 'Content-Length: 3'), 400, 'BAD_FRAMING'],

  // Lines and names.
  ['a bare LF after the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 400, 'BAD_VERSION'],
  ['a bare LF after a field', 'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n', 400, 'BAD_HEADER'],
  ['a bare LF that hides a field', fields('X: y\nTransfer-Encoding: chunked'), 400, 'BAD_HEADER'],
  ['a bare CR in a value', fields('X: y\rTransfer-Encoding: chunked'), 400, 'BAD_HEADER'],
  ['a bare CR at the start of a line', fields('\rX: y'), 400, 'BAD_HEADER'],
  ['a bare CR before the end of a line', fields('X: y\r'), 400, 'BAD_HEADER'],
  ['a bare CR in the request line', line('GET /\r HTTP/1.1'), 400, 'BAD_TARGET'],
  ['obs-fold with a space', fields('X: y', ' z'), 400, 'BAD_HEADER'],
  ['obs-fold with a tab', fields('Transfer-Encoding:', '\tchunked'), 400, 'BAD_HEADER'],
  ['a first line that is folded', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 400, 'BAD_HEADER'],
  ['a space before the colon', fields('Transfer-Encoding : chunked'), 400, 'BAD_HEADER'],
  ['a tab before the colon', fields('Content-Length\t: 3'), 400, 'BAD_HEADER'],
  ['a space inside a name', fields('X Y: z'), 400, 'BAD_HEADER'],
  ['a line without a colon', fields('Transfer-Encoding'), 400, 'BAD_HEADER'],
  ['an empty name', fields(': chunked'), 400, 'BAD_HEADER'],
  ['NUL in a name', fields('X\0: y'), 400, 'BAD_HEADER'],
  ['NUL in a value', fields('X: y\0z'), 400, 'BAD_HEADER'],
  ['DEL in a value', fields('X: \x7f'), 400, 'BAD_HEADER'],
  ['a control in a name', fields('\x01X: y'), 400, 'BAD_HEADER'],
  ['a byte over ASCII in a name', fields('X\xe9: y'), 400, 'BAD_HEADER'],
  ['a separator in a name', fields('X(y): z'), 400, 'BAD_HEADER'],
  ['too many fields', fields(...Array.from({ length: 10 }, (_, i) => `X${i}: y`)), 400, 'BAD_HEADER'],

  // Host.
  ['no Host', hosts('X: y'), 400, 'BAD_HOST'],
  ['two Hosts', hosts('Host: a', 'Host: a'), 400, 'BAD_HOST'],
  ['an empty Host', hosts('Host:'), 400, 'BAD_HOST'],
  ['a Host with a path', hosts('Host: a/b'), 400, 'BAD_HOST'],
  ['a Host with a space', hosts('Host: a b'), 400, 'BAD_HOST'],
  ['a Host with user information', hosts('Host: a@b'), 400, 'BAD_HOST'],
  ['a Host over ASCII', hosts('Host: \xe9'), 400, 'BAD_HOST'],
  ['an authority other than Host', line('GET http://b/ HTTP/1.1'), 400, 'BAD_HOST'],
  ['an authority with another port', line('GET http://a:81/ HTTP/1.1'), 400, 'BAD_HOST'],
  ['an authority and no Host', 'GET http://a/ HTTP/1.1\r\n\r\n', 400, 'BAD_HOST'],

  // Targets.
  ['an authority with user information', line('GET http://u@a/ HTTP/1.1'), 400, 'BAD_TARGET'],
  ['an empty authority', line('GET http:/// HTTP/1.1'), 400, 'BAD_TARGET'],
  ['another scheme', line('GET ftp://a/ HTTP/1.1'), 400, 'BAD_TARGET'],
  ['a relative target', line('GET a HTTP/1.1'), 400, 'BAD_TARGET'],
  ['only a query', line('GET ?a HTTP/1.1'), 400, 'BAD_TARGET'],
  ['* for another method', line('GET * HTTP/1.1'), 400, 'BAD_TARGET'],
  ['** for OPTIONS', line('OPTIONS ** HTTP/1.1'), 400, 'BAD_TARGET'],
  ['a space in the target', line('GET /a b HTTP/1.1'), 400, 'BAD_VERSION'],
  ['a tab in the target', line('GET /a\tb HTTP/1.1'), 400, 'BAD_TARGET'],
  ['NUL in the target', line('GET /\0 HTTP/1.1'), 400, 'BAD_TARGET'],
  ['DEL in the target', line('GET /\x7f HTTP/1.1'), 400, 'BAD_TARGET'],
  ['an escape of NUL', line('GET /a%00 HTTP/1.1'), 400, 'BAD_TARGET'],
  ['an escape that is none', line('GET /%zz HTTP/1.1'), 400, 'BAD_TARGET'],
  ['no target', line('GET HTTP/1.1'), 400, 'BAD_TARGET'],
  ['an empty target', line('GET  HTTP/1.1'), 400, 'BAD_TARGET'],
  ['CONNECT', line('CONNECT a:443 HTTP/1.1'), 405, 'METHOD_NOT_ALLOWED'],
  ['TRACE', line('TRACE / HTTP/1.1'), 405, 'METHOD_NOT_ALLOWED'],
  ['a request line over its limit', line(`GET /${'x'.repeat(90)} HTTP/1.1`), 414, 'URI_TOO_LONG'],

  // Methods and versions.
  ['no method', line(' / HTTP/1.1'), 400, 'BAD_METHOD'],
  ['a method in small letters', line('get / HTTP/1.1'), 400, 'BAD_METHOD'],
  ['a method with a colon', line('GET: / HTTP/1.1'), 400, 'BAD_METHOD'],
  ['a tab after the method', line('GET\t/ HTTP/1.1'), 400, 'BAD_METHOD'],
  ['two spaces before the version', line('GET /  HTTP/1.1'), 400, 'BAD_VERSION'],
  ['a space after the version', line('GET / HTTP/1.1 '), 400, 'BAD_VERSION'],
  ['no version', line('GET /'), 400, 'BAD_TARGET'],
  ['HTTP/1.2', line('GET / HTTP/1.2'), 400, 'BAD_VERSION'],
  ['HTTP/1.10', line('GET / HTTP/1.10'), 400, 'BAD_VERSION'],
  ['HTTP/1', line('GET / HTTP/1'), 400, 'BAD_VERSION'],
  ['http/1.1', line('GET / http/1.1'), 400, 'BAD_VERSION'],
  ['HTTPS/1.1', line('GET / HTTPS/1.1'), 400, 'BAD_VERSION'],
  ['HTTP/2.0', line('GET / HTTP/2.0'), 505, 'BAD_VERSION'],
  ['HTTP/0.9', line('GET / HTTP/0.9'), 505, 'BAD_VERSION'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\n', 505, 'BAD_VERSION'],
  ['an expectation that nobody knows', fields('Expect: 200-ok'), 417, 'EXPECTATION_FAILED'],
]

for (const [what, text, status, code] of REFUSED) {
  test(`refuses ${what} with ${status} ${code}`, () => {
    const failure = parse(text) as WireFailure
    assert.deepEqual([failure.status, failure.code], [status, code], JSON.stringify(failure))
    assert.deepEqual([failure.source, failure.retryable], ['client', false])
  })
}

test('reads method, path, query, version and host', () => {
  const head = accept('GET /a/b?c=d?e HTTP/1.1\r\nhOsT: Example.com:80\r\n\r\n')
  assert.deepEqual(
    [head.method, head.rawPath, head.query, head.minor, head.host],
    ['GET', '/a/b', 'c=d?e', 1, 'Example.com:80'],
  )
  assert.equal(accept(line('GET / HTTP/1.1')).query, null)
  assert.equal(accept(line('GET /? HTTP/1.1')).query, '')
  assert.equal(accept(line('MY_METHOD-X / HTTP/1.1')).method, 'MY_METHOD-X')
  assert.equal(accept(line('OPTIONS * HTTP/1.1')).rawPath, '*')
  assert.equal(accept(line('GET /caf\xe9 HTTP/1.1')).rawPath, '/caf\xe9')
})

test('takes an absolute target whose authority is the Host', () => {
  for (const [target, path, query] of [
    ['http://a/x', '/x', null],
    ['HTTPS://A/x?y', '/x', 'y'],
    ['http://a', '/', null],
    ['http://a?y=/', '/', 'y=/'],
  ] as const) {
    const head = accept(line(`GET ${target} HTTP/1.1`))
    assert.deepEqual([head.rawPath, head.query, head.host], [path, query, 'a'])
  }
})

test('an absolute target in HTTP/1.0 is the host when no Host is there', () => {
  assert.equal(accept('GET http://b:81/ HTTP/1.0\r\n\r\n').host, 'b:81')
  assert.equal(accept('GET / HTTP/1.0\r\n\r\n').host, '')
})

test('reads the framing', () => {
  assert.deepEqual(framing(fields('Content-Length: 007')), [7, false])
  assert.deepEqual(framing(fields('Content-Length: \t 12 \t')), [12, false])
  assert.deepEqual(framing(fields('Transfer-Encoding:   CHUNKED ')), [-1, true])
  assert.deepEqual(framing(fields()), [-1, false])
})
const framing = (text: string) => {
  const { contentLength, isChunked } = accept(text)
  return [contentLength, isChunked]
}

test('reads what the connection is to become', () => {
  const connection = (version: string, value: string) => {
    const head = accept(`GET / HTTP/${version}\r\nHost: a\r\n${value === '' ? '' : `Connection: ${value}\r\n`}\r\n`)
    return [head.keepAlive, head.connection]
  }
  assert.deepEqual(connection('1.1', ''), [true, 0])
  assert.deepEqual(connection('1.1', 'CLOSE'), [false, CONNECTION_CLOSE])
  assert.deepEqual(connection('1.1', 'keep-alive, Upgrade'), [true, CONNECTION_KEEP_ALIVE | CONNECTION_UPGRADE])
  assert.deepEqual(connection('1.1', 'x-a ,close'), [false, CONNECTION_NAMES | CONNECTION_CLOSE])
  assert.deepEqual(connection('1.0', ''), [false, 0])
  assert.deepEqual(connection('1.0', 'Keep-Alive'), [true, CONNECTION_KEEP_ALIVE])
  assert.deepEqual(connection('1.0', '\xa0keep-alive'), [false, CONNECTION_NAMES])
  assert.deepEqual(connection('1.1', 'a,\xa0close'), [true, CONNECTION_NAMES])
  assert.deepEqual(connection('1.1', ', \tclose\t ,'), [false, CONNECTION_CLOSE])
  assert.deepEqual(connection('1.0', 'keep-alive, close'), [false, CONNECTION_KEEP_ALIVE | CONNECTION_CLOSE])
  assert.equal(accept(fields('Connection: a', 'Connection: close')).keepAlive, false)
})

test('leaves out fields whose names nginx does not take, but checks them', () => {
  const head = accept(fields('X.Y: a', 'X-Z: b', "!#$%&'*+^`|~: c"))
  assert.deepEqual(
    [...head.headers],
    [
      ['Host', 'a'],
      ['X-Z', 'b'],
    ],
  )
})

test('tells when a path is in normal form, and when it needs no escaping', () => {
  const flags = (path: string) => {
    const head = accept(line(`GET ${path} HTTP/1.1`))
    return [head.isPathNormal, head.isPathPlain]
  }
  assert.deepEqual(flags('/a/b.c'), [true, true])
  for (const path of ['/a//b', '/./a', '/a/../b', '/a%41', '/..']) assert.equal(flags(path)[0], false, path)
  for (const path of ['/"', '/a\\', '/{x}', '/|', '/\xe9']) assert.equal(flags(path)[1], false, path)
  assert.deepEqual(flags('/a?//..%41"'), [true, true])
})

const tokenName = fc
  .stringMatching(/^[A-Za-z0-9_-]{1,20}$/)
  .filter((name) => !/^(host|connection|content-length|transfer-encoding|expect|upgrade)$/i.test(name))
const value = fc.stringMatching(/^([\x21-\x7e\x80-\xff]([\x20-\x7e\t\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?$/)
const space = fc.stringMatching(/^[ \t]{0,3}$/)

test('reads back every head that is written by the rules', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[A-Z]{3,8}$/).filter((method) => method !== 'CONNECT' && method !== 'TRACE'),
      fc.stringMatching(/^\/[!-$&->@-~\x80-\xff]{0,40}$/),
      fc.option(fc.stringMatching(/^[!-~\x80-\xff]{0,30}$/)),
      fc.array(fc.tuple(tokenName, space, value, space), { maxLength: 8 }),
      (method, path, query, list) => {
        const target = query === null ? path : `${path}?${query}`
        const lines = list.map(([name, before, text, after]) => `${name}:${before}${text}${after}\r\n`).join('')
        const head = accept(`${method} ${target} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`)
        assert.deepEqual([head.method, head.rawPath, head.query], [method, path, query])
        assert.deepEqual([...head.headers], [['Host', 'a'], ...list.map(([name, , text]) => [name, text])])
      },
    ),
  )
})

test('no bytes make it throw, hang or read beyond the head', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Z /\r\n:\t\0a-z0-9.,]{0,80}$/), (text) => {
      parse(`${text}\r\n\r\n`)
      parse(`GET / HTTP/1.1\r\n${text}\r\n\r\n`)
    }),
    { numRuns: 1000 },
  )
})
