import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fakeExchange, headersOf, prepare, type HeaderInput } from '#pdk/testing'
import { responseTransformer } from './plugin.ts'

function headersAfter(config: object, headers: HeaderInput) {
  const exchange = fakeExchange({ response: { status: 200, headers } })
  responseTransformer.responseHeaders!(exchange, prepare(responseTransformer, config))
  return headersOf(exchange.response.headers)
}

/** The body as the client gets it, sent by the upstream in pieces of `pieceBytes`. */
function bodyAfter(config: object, body: string, type = 'application/json', pieceBytes = 7): string {
  const exchange = fakeExchange({ response: { status: 200, headers: { 'Content-Type': type } } })
  const transform = responseTransformer.responseBody!(exchange, prepare(responseTransformer, config))
  if (transform === null) return body
  const bytes = Buffer.from(body)
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = Buffer.from(bytes.subarray(at, at + pieceBytes))
    const passed = transform.chunk(piece)
    if (passed !== null) out.push(Buffer.from(passed))
    // What a socket read into is read into again.
    piece.fill(0)
  }
  const rest = transform.end()
  if (rest !== null) out.push(rest)
  return Buffer.concat(out).toString()
}

const jsonAfter = (config: object, body: unknown) => JSON.parse(bodyAfter(config, JSON.stringify(body))) as unknown

test('removes, renames, replaces, adds and appends headers', () => {
  const config = {
    remove: { headers: ['x-gone', 'x-valued:whatever'] },
    rename: { headers: ['x-old:X-New', 'x-none:X-Other'] },
    replace: { headers: ['x-have:new', 'x-missing:n'] },
    add: { headers: ['x-have2:2', 'x-added: a:b '] },
    append: { headers: ['set-cookie:c=d'] },
  }
  const headers = [
    ['X-Gone', '1'],
    ['X-Valued', 'other'],
    ['X-Old', 'o1'],
    ['X-Old', 'o2'],
    ['X-Have', 'old'],
    ['X-Have', 'older'],
    ['X-Have2', 'kept'],
    ['Set-Cookie', 'a=b'],
  ] as const
  assert.deepEqual(headersAfter(config, headers), {
    'x-new': ['o1', 'o2'],
    'x-have': 'new',
    'x-have2': 'kept',
    'x-added': 'a:b',
    'set-cookie': ['a=b', 'c=d'],
  })
})

test('looks at the headers as they came, also when another operation changed them', () => {
  const config = {
    remove: { headers: ['x-a', 'x-b'] },
    replace: { headers: ['x-a:new'] },
    add: { headers: ['x-b:no'] },
  }
  assert.deepEqual(headersAfter(config, { 'X-A': 'old', 'X-B': 'old' }), { 'x-a': 'new' })
})

test('a rename that changes only the case keeps the header', () => {
  assert.deepEqual(headersAfter({ rename: { headers: ['x-a:X-A'] } }, { 'x-a': '1' }), { 'x-a': '1' })
})

test('a value can not end its header line', () => {
  assert.deepEqual(headersAfter({ add: { headers: ['x-a:1\r\nx-b: 2'] } }, {}), { 'x-a': '1%0D%0Ax-b: 2' })
})

test('changes JSON in the order remove, rename, replace, add, append', () => {
  const config = {
    remove: { json: ['gone'] },
    rename: { json: ['old:new', 'none:other'] },
    replace: { json: ['new:replaced', 'missing:x'] },
    add: { json: ['gone:back', 'have:no'] },
    append: { json: ['list:c', 'text:t2', 'first:f'] },
  }
  assert.deepEqual(jsonAfter(config, { gone: 1, old: 2, have: 3, list: ['a', 'b'], text: 't1' }), {
    new: 'replaced',
    gone: 'back',
    have: 3,
    list: ['a', 'b', 'c'],
    text: ['t1', 't2'],
    first: ['f'],
  })
})

test('gives values their types, and leaves out what is no number', () => {
  const config = {
    add: { json: ['n:1.5', 'b:true', 's:1', 'no:x'], json_types: ['number', 'boolean', 'string', 'number'] },
  }
  assert.deepEqual(jsonAfter(config, {}), { n: 1.5, b: true, s: '1' })
})

test('false, null and 0 are values that are there', () => {
  const config = { replace: { json: ['a:x', 'b:x'] }, add: { json: ['c:x'] } }
  assert.deepEqual(jsonAfter(config, { a: false, b: null, c: 0 }), { a: 'x', b: 'x', c: 0 })
})

test('reaches nested members and elements of lists', () => {
  const body = { user: { name: 'n', keep: 1 }, rows: [{ a: 1 }, { a: 2 }, 3] }
  assert.deepEqual(jsonAfter({ remove: { json: ['user.name'] } }, body), { user: { keep: 1 }, rows: body.rows })
  assert.deepEqual(jsonAfter({ replace: { json: ['rows[*].a:x'] } }, body), {
    ...body,
    rows: [{ a: 'x' }, { a: 'x' }, 3],
  })
  assert.deepEqual(jsonAfter({ add: { json: ['rows[2].b:y'] } }, body), {
    ...body,
    rows: [{ a: 1 }, { a: 2, b: 'y' }, 3],
  })
  assert.deepEqual(jsonAfter({ rename: { json: ['rows[*].a:rows[*].z'] } }, body), {
    ...body,
    rows: [{ z: 1 }, { z: 2 }, 3],
  })
  assert.deepEqual(jsonAfter({ add: { json: ['[1].x:1'] } }, [{}]), [{ x: '1' }])
})

test('what is not meant stays byte for byte', () => {
  for (const body of ['{bad', '[1]', '{ "k" : 1.0 }', '', 'null', '{"user":"text"}']) {
    assert.equal(bodyAfter({ remove: { json: ['a', 'user.name'] } }, body), body)
  }
})

test('numbers stay as they came in a body that is changed', () => {
  const body = '{"id":12345678901234567890,"price":1.50,"e":1e400,"a":1}'
  assert.equal(bodyAfter({ remove: { json: ['a'] } }, body), '{"id":12345678901234567890,"price":1.50,"e":1e400}')
})

test('a member called __proto__ is data', () => {
  assert.equal(bodyAfter({ add: { json: ['__proto__:1'] } }, '{}'), '{"__proto__":"1"}')
  assert.equal(bodyAfter({ add: { json: ['constructor:1'] } }, '{}'), '{"constructor":"1"}')
  assert.equal(bodyAfter({ add: { json: ['__proto__.polluted:1'] } }, '{}'), '{}')
})

test('only JSON is touched', () => {
  const add = { add: { json: ['n:1'] } }
  for (const type of ['text/plain', 'application/problem+json', 'application/jsonx', '']) {
    assert.equal(bodyAfter(add, '{}', type), '{}', type)
  }
  for (const type of ['application/json', 'Application/JSON; charset=utf-8', 'text/plain, application/json']) {
    assert.equal(bodyAfter(add, '{}', type), '{"n":"1"}', type)
  }
})

test('a body over the limit passes unchanged, and the log says so once', () => {
  const body = JSON.stringify({ text: 'x'.repeat(9 << 20) })
  const logged: string[] = []
  const log = { error() {}, warn: (_: object, message: string) => logged.push(message), info() {}, debug() {} }
  const state = prepare(responseTransformer, { remove: { json: ['text'] } }, { log })
  for (let i = 0; i < 2; i++) {
    const exchange = fakeExchange({ response: { headers: { 'Content-Type': 'application/json' } } })
    const transform = responseTransformer.responseBody!(exchange, state)!
    const out: Buffer[] = []
    for (let at = 0; at < body.length; at += 1 << 20) {
      const passed = transform.chunk(Buffer.from(body.slice(at, at + (1 << 20))))
      if (passed !== null) out.push(passed)
    }
    const rest = transform.end()
    if (rest !== null) out.push(rest)
    assert.equal(Buffer.concat(out).toString() === body, true)
  }
  assert.equal(logged.length, 1)
})

test('a body that is nested beyond measure passes unchanged', () => {
  const body = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`
  assert.equal(bodyAfter({ remove: { json: ['a'] } }, body, 'application/json', 1 << 16) === body, true)
})

test('adding a member changes nothing else, however the body is cut', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.integer({ min: 1, max: 50 }), (object, pieceBytes) => {
      // By way of JSON, which knows neither -0 nor prototypes.
      const given = JSON.parse(JSON.stringify(object)) as Record<string, unknown>
      const got = JSON.parse(
        bodyAfter({ add: { json: ['n:1'] } }, JSON.stringify(given), 'application/json', pieceBytes),
      )
      assert.deepEqual(got, Object.hasOwn(given, 'n') ? given : { ...given, n: '1' })
    }),
  )
})
