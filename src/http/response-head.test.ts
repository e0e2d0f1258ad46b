import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WireFailure } from './failure.ts'
import { parseResponseHead, ResponseHead } from './response-head.ts'

function parse(text: string, method = 'GET'): ResponseHead | WireFailure {
  const before = 'x\r\n'
  const bytes = Buffer.from(before + text + 'HTTP/1.1 200 OK\r\n\r\n', 'latin1')
  return parseResponseHead(bytes, before.length, before.length + text.length, method, 10)
}
function accept(text: string, method?: string): ResponseHead {
  const head = parse(text, method)
  assert.ok(head instanceof ResponseHead, `accepts ${JSON.stringify(text)}: ${JSON.stringify(head)}`)
  return head
}
const line = (statusLine: string) => `${statusLine}\r\nContent-Length: 0\r\n\r\n`
const fields = (...lines: readonly string[]) => `HTTP/1.1 200 OK\r\n${lines.map((l) => l + '\r\n').join('')}\r\n`

const REFUSED: readonly (readonly [what: string, text: string, code: string])[] = [
  ['another protocol', line('ICY 200 OK'), 'BAD_STATUS_LINE'],
  ['HTTP/2', line('HTTP/2.0 200 OK'), 'BAD_STATUS_LINE'],
  ['HTTP/1.2', line('HTTP/1.2 200 OK'), 'BAD_STATUS_LINE'],
  ['HTTP/1.11', line('HTTP/1.11 200 OK'), 'BAD_STATUS_LINE'],
  ['small letters', line('http/1.1 200 OK'), 'BAD_STATUS_LINE'],
  ['two spaces before the status', line('HTTP/1.1  200 OK'), 'BAD_STATUS_LINE'],
  ['a tab before the status', line('HTTP/1.1\t200 OK'), 'BAD_STATUS_LINE'],
  ['a status of two digits', line('HTTP/1.1 20 OK'), 'BAD_STATUS_LINE'],
  ['a status of four digits', line('HTTP/1.1 2000 OK'), 'BAD_STATUS_LINE'],
  ['a status below 100', line('HTTP/1.1 099 OK'), 'BAD_STATUS_LINE'],
  ['a status with a sign', line('HTTP/1.1 +20 OK'), 'BAD_STATUS_LINE'],
  ['no status', line('HTTP/1.1 '), 'BAD_STATUS_LINE'],
  ['NUL in the reason', line('HTTP/1.1 200 O\0K'), 'BAD_STATUS_LINE'],
  ['a bare CR in the reason', line('HTTP/1.1 200 O\rK'), 'BAD_STATUS_LINE'],
  ['a bare LF after the status line', 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n', 'BAD_STATUS_LINE'],
  ['an empty line first', '\r\nHTTP/1.1 200 OK\r\n\r\n', 'BAD_STATUS_LINE'],
  ['Content-Length and chunked', fields('Content-Length: 3', 'Transfer-Encoding: chunked'), 'BAD_FRAMING'],
  ['two equal lengths', fields('Content-Length: 3', 'Content-Length: 3'), 'BAD_HEADER'],
  ['two different lengths', fields('Content-Length: 3', 'Content-Length: 4'), 'BAD_HEADER'],
  ['a list of lengths', fields('Content-Length: 3, 3'), 'BAD_HEADER'],
  ['a length with +', fields('Content-Length: +3'), 'BAD_HEADER'],
  ['a negative length', fields('Content-Length: -1'), 'BAD_HEADER'],
  ['a length in hexadecimal', fields('Content-Length: 0x3'), 'BAD_HEADER'],
  ['gzip, chunked', fields('Transfer-Encoding: gzip, chunked'), 'BAD_FRAMING'],
  ['chunked twice', fields('Transfer-Encoding: chunked, chunked'), 'BAD_FRAMING'],
  ['two Transfer-Encodings', fields('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 'BAD_HEADER'],
  ['identity', fields('Transfer-Encoding: identity'), 'BAD_FRAMING'],
  ['xchunked', fields('Transfer-Encoding: xchunked'), 'BAD_FRAMING'],
  ['chunked in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'BAD_FRAMING'],
  ['obs-fold', fields('X: y', ' z'), 'BAD_HEADER'],
  ['a space before the colon', fields('Content-Length : 3'), 'BAD_HEADER'],
  ['a bare LF in a field', fields('X: y\nContent-Length: 3'), 'BAD_HEADER'],
  ['a bare CR in a field', fields('X: y\rz'), 'BAD_HEADER'],
  ['NUL in a value', fields('X: \0'), 'BAD_HEADER'],
  ['a control in a name', fields('X\x02: y'), 'BAD_HEADER'],
  ['a line without a colon', fields('X'), 'BAD_HEADER'],
  ['too many fields', fields(...Array.from({ length: 11 }, (_, i) => `X${i}: y`)), 'BAD_HEADER'],
]

for (const [what, text, code] of REFUSED) {
  test(`refuses ${what} with 502 ${code}`, () => {
    const failure = parse(text) as WireFailure
    assert.deepEqual([failure.status, failure.code, failure.source, failure.retryable], [502, code, 'upstream', false])
  })
}

test('reads version, status, reason and fields', () => {
  const head = accept('HTTP/1.0 404 Not\tFound \xe9\r\nX-A: 1\r\nX-A: 2\r\n\r\n')
  assert.deepEqual([head.minor, head.status, head.reason], [0, 404, 'Not\tFound \xe9'])
  assert.deepEqual(
    [...head.headers],
    [
      ['X-A', '1'],
      ['X-A', '2'],
    ],
  )
  assert.deepEqual([accept(line('HTTP/1.1 200 ')).reason, accept(line('HTTP/1.1 200')).reason], ['', ''])
  assert.equal(accept(line('HTTP/1.1 999 x')).status, 999)
})

for (const [what, text, method, framing, length, keepAlive] of [
  ['a length', fields('Content-Length: 3'), 'GET', 'length', 3, true],
  ['chunked', fields('Transfer-Encoding: Chunked'), 'GET', 'chunked', -1, true],
  ['neither', fields(), 'GET', 'close', -1, false],
  ['neither for HEAD', fields(), 'HEAD', 'none', -1, true],
  ['a length for HEAD', fields('Content-Length: 3'), 'HEAD', 'none', 3, true],
  ['chunked for HEAD', fields('Transfer-Encoding: chunked'), 'HEAD', 'none', -1, true],
  ['204 with a length', 'HTTP/1.1 204 N\r\nContent-Length: 3\r\n\r\n', 'GET', 'none', 3, true],
  ['304 with a length', 'HTTP/1.1 304 N\r\nContent-Length: 3\r\n\r\n', 'GET', 'none', 3, true],
  ['103', 'HTTP/1.1 103 E\r\n\r\n', 'GET', 'none', -1, true],
  ['Connection: close', fields('Content-Length: 3', 'Connection: close'), 'GET', 'length', 3, false],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n', 'GET', 'length', 3, false],
  [
    'HTTP/1.0 keep-alive',
    'HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n',
    'GET',
    'length',
    3,
    true,
  ],
  [
    'HTTP/1.0 keep-alive without a length',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n',
    'GET',
    'close',
    -1,
    false,
  ],
] as const) {
  test(`the body of a response with ${what} is framed by '${framing}'`, () => {
    const head = accept(text, method)
    assert.deepEqual([head.framing, head.contentLength, head.keepAlive], [framing, length, keepAlive])
  })
}
