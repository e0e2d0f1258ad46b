/** Requests that must not get through in another form: what HTTP/1.1 behind the gateway would read in another way than HTTP/2 says it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestHead } from '../request-head.ts'
import { newField } from './hpack-fields.ts'
import { readRequest, readTrailers } from './request-fields.ts'

const GET = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'a.test'],
  [':path', '/x?y=1'],
] as const
type Pair = readonly [string, string]

function read(pairs: readonly Pair[], isEnd = true) {
  return readRequest(
    pairs.map(([name, value]) => newField(name, value)),
    isEnd,
    8192,
  )
}

const without = (name: string): Pair[] => GET.filter(([other]) => other !== name)
const instead = (name: string, value: string): Pair[] => [...without(name), [name, value]]

test('a request becomes the head that HTTP/1.1 would have', () => {
  const head = read([...GET, ['cookie', 'a=1'], ['accept', '*/*'], ['cookie', 'b=2'], ['te', 'trailers']])
  assert.ok(head instanceof RequestHead)
  assert.deepEqual(
    [head.method, head.rawPath, head.query, head.host, head.isHttp2, head.isChunked, head.contentLength],
    ['GET', '/x', 'y=1', 'a.test', true, false, -1],
  )
  assert.deepEqual(
    { ...head.headers.toObject() },
    { accept: '*/*', te: 'trailers', host: 'a.test', cookie: 'a=1; b=2' },
  )
  const post = read([...instead(':method', 'POST'), ['content-length', '3']], false)
  assert.ok(post instanceof RequestHead && post.contentLength === 3 && !post.isChunked)
  const stream = read(instead(':method', 'POST'), false)
  assert.ok(stream instanceof RequestHead && stream.isChunked)
})

for (const [what, pairs, isEnd] of [
  ['an unknown pseudo-field', [...GET, [':x', '1']]],
  ['a status', [...GET, [':status', '200']]],
  ['a pseudo-field twice', [...GET, [':path', '/other']]],
  ['a pseudo-field behind others', [...without(':path'), ['a', '1'], [':path', '/']]],
  ['no method', without(':method')],
  ['no path', without(':path')],
  ['an empty path', instead(':path', '')],
  ['no scheme', without(':scheme')],
  ['a capital letter in a name', [...GET, ['Accept', '1']]],
  ['CR and LF in a value', [...GET, ['a', '1\r\nx: y']]],
  ['LF in a value', [...GET, ['a', '1\nb']]],
  ['NUL in a value', [...GET, ['a', '1\0']]],
  ['CR in a name', [...GET, ['a\r', '1']]],
  ['a colon in a name', [...GET, ['a:b', '1']]],
  ['a space in a name', [...GET, ['a b', '1']]],
  ['a space before a value', [...GET, ['a', ' 1']]],
  ['connection', [...GET, ['connection', 'close']]],
  ['keep-alive', [...GET, ['keep-alive', '1']]],
  ['proxy-connection', [...GET, ['proxy-connection', 'close']]],
  ['transfer-encoding', [...GET, ['transfer-encoding', 'chunked']]],
  ['upgrade', [...GET, ['upgrade', 'websocket']]],
  ['te other than trailers', [...GET, ['te', 'gzip']]],
  ['content-length twice', [...GET, ['content-length', '1'], ['content-length', '1']], false],
  ['content-length that is no number', [...GET, ['content-length', '1,1']], false],
  ['a negative content-length', [...GET, ['content-length', '-1']], false],
  ['content-length and no body', [...GET, ['content-length', '5']]],
] as const satisfies readonly (readonly [string, readonly Pair[], boolean?])[])
  test(`malformed, and reset: ${what}`, () => {
    const head = read(pairs, isEnd ?? true)
    assert.ok('malformed' in head, JSON.stringify(head))
  })

for (const [what, pairs, status] of [
  ['no host', without(':authority'), 400],
  ['a host that differs', [...GET, ['host', 'b.test']], 400],
  ['two hosts', [...GET, ['host', 'a.test'], ['host', 'a.test']], 400],
  ['a slash in the host', instead(':authority', 'a.test/x'), 400],
  ['user and host', instead(':authority', 'u@a.test'), 400],
  ['a space in the path', instead(':path', '/a b'), 400],
  ['a path that is an URI', instead(':path', 'http://b.test/'), 400],
  ['a path without slash', instead(':path', 'x'), 400],
  ['CR in the path', instead(':path', '/\r\nx'), 'malformed'],
  ['NUL as an escape', instead(':path', '/%00'), 400],
  ['a method in small letters', instead(':method', 'get'), 400],
  ['a space in the method', instead(':method', 'GET /'), 400],
  [
    'CONNECT',
    [
      [':method', 'CONNECT'],
      [':authority', 'a.test:1'],
    ],
    405,
  ],
  ['TRACE', instead(':method', 'TRACE'), 405],
  ['another scheme', instead(':scheme', 'ftp'), 400],
  ['an expectation', [...GET, ['expect', 'tea']], 417],
  ['a long path', instead(':path', '/' + 'a'.repeat(9000)), 414],
] as const satisfies readonly (readonly [string, readonly Pair[], number | 'malformed'])[])
  test(`refused: ${what}`, () => {
    const head = read(pairs)
    if (status === 'malformed') return assert.ok('malformed' in head || 'status' in head)
    assert.ok('status' in head, JSON.stringify(head))
    assert.equal(head.status, status)
  })

test('the same host twice, in other letters, is one host; a Host alone does', () => {
  assert.ok(read([...GET, ['host', 'A.test']]) instanceof RequestHead)
  const head = read([...without(':authority'), ['host', 'b.test']])
  assert.ok(head instanceof RequestHead && head.host === 'b.test')
})

test('names that nginx does not take are left out', () => {
  const head = read([...GET, ['a.b', '1'], ['c', '2']])
  assert.ok(head instanceof RequestHead)
  assert.deepEqual({ ...head.headers.toObject() }, { c: '2', host: 'a.test' })
})

test('trailers carry no framing, routing or pseudo-fields', () => {
  const trailers = (pairs: readonly Pair[]) => readTrailers(pairs.map(([name, value]) => newField(name, value)))
  assert.deepEqual({ ...trailers([['grpc-status', '0']])?.toObject() }, { 'grpc-status': '0' })
  for (const name of [':path', 'content-length', 'transfer-encoding', 'host', 'te', 'connection', 'Upper'])
    assert.equal(trailers([[name, '1']]), null, name)
})
