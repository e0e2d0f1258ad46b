import assert from 'node:assert/strict'
import { once, EventEmitter } from 'node:events'
import { test } from 'node:test'
import { fakeExchange, FakeMetrics, headersOf, prepare } from '#pdk/testing'
import { ContentTypes } from './content-types.ts'
import { compression } from './plugin.ts'

interface Case {
  readonly config?: object
  readonly request?: Readonly<Record<string, string>>
  readonly response?: Readonly<Record<string, string | readonly string[]>>
  readonly status?: number
  readonly length?: number
}

function decide({ config, request, response, status = 200, length = 5000 }: Case) {
  const metrics = new FakeMetrics()
  const state = prepare(compression, config, { metrics })
  const exchange = fakeExchange({
    headers: { 'Accept-Encoding': 'gzip', ...request },
    response: { status, headers: { 'Content-Type': 'application/json', ...response } },
  })
  void compression.access!(exchange, state)
  const encoding = compression.responseEncoding!(exchange, state, length)
  return { exchange, state, metrics, encoding, headers: headersOf(exchange.response.headers) }
}

test('a response of a listed type is compressed, and says so', () => {
  const { encoding, headers } = decide({
    response: { ETag: '"v1"', 'Accept-Ranges': 'bytes', 'Content-Type': 'Text/HTML; charset=utf-8' },
  })
  assert.ok(encoding !== null)
  assert.deepEqual(headers, {
    'content-type': 'Text/HTML; charset=utf-8',
    etag: 'W/"v1"',
    vary: 'Accept-Encoding',
    'content-encoding': 'gzip',
  })
})

const UNCHANGED: Readonly<Record<string, Case>> = {
  'another type': { response: { 'Content-Type': 'image/png' } },
  'no type': { response: { 'Content-Type': '' } },
  'a message of gRPC': { config: { types: ['application/*'] }, response: { 'Content-Type': 'application/grpc+proto' } },
  'encoded already': { response: { 'Content-Encoding': 'br' } },
  'encoded in a way that nobody knows': { response: { 'Content-Encoding': 'x-own' } },
  'the upstream forbids it': { response: { 'Cache-Control': 'max-age=5, No-Transform' } },
  'the client forbids it': { request: { 'Cache-Control': 'no-transform' } },
  'a part': { status: 206 },
  'no content': { status: 204 },
  'a digest of the bytes': { response: { 'Content-Digest': 'sha-256=:x:' } },
  'an old digest of the bytes': { response: { 'Content-MD5': 'x' } },
}
for (const [name, one] of Object.entries(UNCHANGED)) {
  test(`stays as it is, for every client: ${name}`, () => {
    const { encoding, headers } = decide({ ...one, response: { ETag: '"v1"', ...one.response } })
    assert.equal(encoding, null)
    assert.deepEqual([headers['vary'], headers['etag']], [undefined, '"v1"'])
  })
}

const PLAIN: Readonly<Record<string, Case>> = {
  'the client takes none': { request: { 'Accept-Encoding': 'deflate' } },
  'it is short': { length: 1023 },
  'it is empty': { length: 0, config: { min_length: 0 } },
}
for (const [name, one] of Object.entries(PLAIN)) {
  test(`stays as it is for this client: ${name}`, () => {
    const { encoding, headers } = decide({ ...one, response: { ETag: '"v1"' } })
    assert.equal(encoding, null)
    assert.deepEqual(headers, { 'content-type': 'application/json', etag: '"v1"', vary: 'Accept-Encoding' })
  })
}

test('is compressed: a length that is not known, one at the limit, a short one for who takes nothing else', () => {
  assert.ok(decide({ length: -1 }).encoding)
  assert.ok(decide({ length: 1024 }).encoding)
  assert.ok(decide({ length: 10, request: { 'Accept-Encoding': 'gzip, identity;q=0' } }).encoding)
  assert.ok(decide({ response: { 'Content-Encoding': 'identity' } }).encoding)
  assert.ok(decide({ response: { 'Cache-Control': 'x-no-transformation' } }).encoding)
})

test('Vary is added once', () => {
  const vary = (response: Case['response']) => decide({ response: { ...response } }).headers['vary']
  assert.equal(vary({ Vary: 'Origin, accept-encoding' }), 'Origin, accept-encoding')
  assert.equal(vary({ Vary: '*' }), '*')
  assert.deepEqual(vary({ Vary: 'Accept-Encoding-X' }), ['Accept-Encoding-X', 'Accept-Encoding'])
})

test('a tag that is weak, or none, stays', () => {
  for (const tag of ['W/"a"', 'a', '"a']) assert.equal(decide({ response: { ETag: tag } }).headers['etag'], tag)
})

test('a 304 has the tag that the client has', () => {
  const tagOf = (ifNoneMatch: string, accepted = 'gzip') =>
    decide({
      status: 304,
      length: -1,
      response: { ETag: '"a"' },
      request: { 'If-None-Match': ifNoneMatch, 'Accept-Encoding': accepted },
    }).headers['etag']
  assert.equal(tagOf('W/"a"'), 'W/"a"')
  assert.equal(tagOf('"b", W/"a"'), 'W/"a"')
  assert.equal(tagOf('"a"'), '"a"')
  assert.equal(tagOf('W/"a"', 'identity'), '"a"')
})

test('with uncompressed_upstream the upstream does not hear what the client takes', () => {
  const { exchange, headers } = decide({
    config: { uncompressed_upstream: true },
    request: { 'Accept-Encoding': 'br' },
  })
  assert.equal(exchange.request.headers.has('accept-encoding'), false)
  assert.equal(headers['content-encoding'], 'br')
})

test('over max_streams responses pass as they are, and are counted; streams that end make room', async () => {
  const { exchange, state, metrics, encoding } = decide({ config: { max_streams: 1 } })
  const ended = new EventEmitter()
  const encoder = encoding!.start({
    onEncoded: () => undefined,
    onEncodedEnd: () => ended.emit('end'),
    onEncoderDrain: () => undefined,
    onEncoderFailure: (error) => ended.emit('error', error),
  })
  const again = () => {
    exchange.response.headers.remove('content-encoding')
    return compression.responseEncoding!(exchange, state, 5000)
  }
  assert.equal(again(), null)
  assert.equal(metrics.counts['compression passed_busy'], 1)
  encoder.write(Buffer.alloc(5000, 'a'), false)
  encoder.end()
  await once(ended, 'end')
  assert.ok(again() !== null)
  assert.equal(metrics.counts['compression gzip'], 1)
  assert.equal(metrics.bytes['compression in'], 5000)
  assert.ok(metrics.bytes['compression out']! < 100)
})

test('types: exact, all of a type, all with a suffix', () => {
  const types = new ContentTypes(['application/json', 'TEXT/*', 'application/*+xml'])
  for (const yes of ['application/json', 'text/x', 'application/a+xml']) assert.equal(types.has(yes), true, yes)
  for (const no of ['application/json+x', 'texts/x', 'image/svg+xml', 'text', '', 'application/xml'])
    assert.equal(types.has(no), false, no)
})

const MALFORMED: readonly (readonly [config: object, field: RegExp])[] = [
  [{ encodings: [] }, /^encodings/],
  [{ encodings: ['deflate'] }, /^encodings/],
  [{ encodings: ['gzip', 'gzip'] }, /^encodings$/],
  [{ encodings: 'gzip,br', types: 7 }, /^types|^encodings/],
  [{ types: [] }, /^types/],
  [{ types: ['json'] }, /^types/],
  [{ types: ['*/*'] }, /^types/],
  [{ types: ['text/html; charset=utf-8'] }, /^types/],
  [{ min_length: -1 }, /^min_length$/],
  [{ min_length: 1.5 }, /^min_length$/],
  [{ gzip_level: 10 }, /^gzip_level$/],
  [{ gzip_level: 0 }, /^gzip_level$/],
  [{ brotli_level: 12 }, /^brotli_level$/],
  [{ zstd_level: 20 }, /^zstd_level$/],
  [{ flush_after: -1 }, /^flush_after$/],
  [{ max_streams: 0 }, /^max_streams$/],
  [{ level: 3 }, /^level$/],
]
for (const [config, field] of MALFORMED) {
  test(`a configuration is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(
      () => prepare(compression, config),
      (error: { code?: string; field?: string }) => error.code === 'CONFIG_INVALID' && field.test(error.field ?? ''),
    )
  })
}
