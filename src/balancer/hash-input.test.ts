import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderList } from '#http/header-list.ts'
import type { Upstream } from '#model/entities/upstream.ts'
import { compileHashInput, stickyCookieOf, type HashableExchange } from './hash-input.ts'
import { anUpstream } from './testing.ts'

interface Parts {
  readonly headers?: readonly (readonly [string, string])[]
  readonly query?: string
  readonly consumer?: string
  readonly credential?: string
  readonly captures?: { named?: Record<string, string>; unnamed?: string[] }
}

function anExchange({ headers = [], query, consumer, credential, captures }: Parts = {}): HashableExchange {
  return {
    request: { headers: HeaderList.from(headers), clientIp: '192.0.2.7', path: '/a/b', query: query ?? null },
    consumer: consumer === undefined ? null : { id: consumer },
    credential: credential === undefined ? null : { id: credential },
    captures: captures === undefined ? null : { named: captures.named ?? {}, unnamed: captures.unnamed ?? [] },
    shared: new Map(),
  }
}

function hashOf(upstream: Partial<Omit<Upstream, 'healthchecks'>>, exchange: Parts): string | null {
  const input = compileHashInput(anUpstream(upstream), () => 'a-uuid')
  assert.ok(input)
  return input(anExchange(exchange))
}

test('nothing is hashed with hash_on none', () => {
  assert.equal(
    compileHashInput(anUpstream(), () => ''),
    null,
  )
})

test('a consumer is hashed by its id, without one its credential', () => {
  assert.equal(hashOf({ hash_on: 'consumer' }, { consumer: 'c1', credential: 'k1' }), 'c1')
  assert.equal(hashOf({ hash_on: 'consumer' }, { credential: 'k1' }), 'k1')
  assert.equal(hashOf({ hash_on: 'consumer' }, {}), null)
})

test('address and path always have a value', () => {
  assert.equal(hashOf({ hash_on: 'ip' }, {}), '192.0.2.7')
  assert.equal(hashOf({ hash_on: 'path' }, { query: 'x=1' }), '/a/b')
})

test('repeated headers are joined, an empty one is a value', () => {
  const upstream = { hash_on: 'header', hash_on_header: 'x-hash' } as const
  assert.equal(
    hashOf(upstream, {
      headers: [
        ['X-Hash', 'a'],
        ['x-hash', 'b'],
      ],
    }),
    'a, b',
  )
  assert.equal(hashOf(upstream, { headers: [['X-Hash', '']] }), '')
  assert.equal(hashOf(upstream, {}), null)
})

test('the fallback counts when the first has no value, by its own field', () => {
  const upstream = {
    hash_on: 'header',
    hash_on_header: 'x-a',
    hash_fallback: 'header',
    hash_fallback_header: 'x-b',
  } as const
  assert.equal(
    hashOf(upstream, {
      headers: [
        ['X-A', 'one'],
        ['X-B', 'two'],
      ],
    }),
    'one',
  )
  assert.equal(hashOf(upstream, { headers: [['X-B', 'two']] }), 'two')
  assert.equal(hashOf({ ...upstream, hash_fallback: 'ip' }, {}), '192.0.2.7')
  const args = { hash_on: 'consumer', hash_fallback: 'query_arg', hash_fallback_query_arg: 'who' } as const
  assert.equal(hashOf(args, { query: 'who=me' }), 'me')
})

test('a query argument is read as nginx reads it', () => {
  const arg = (query: string): string | null => hashOf({ hash_on: 'query_arg', hash_on_query_arg: 'a b' }, { query })
  assert.equal(arg('a+b=1&x=2'), '1')
  assert.equal(arg('a%20b=z&a+b=k&a%20b=m'), 'k,m,z')
  assert.equal(arg('a+b'), 'true')
  assert.equal(arg('a+b='), '')
  assert.equal(arg('a+b=%C3%BC%zz'), '\u00c3\u00bc%zz')
  assert.equal(arg('x=1'), null)
  assert.equal(hashOf({ hash_on: 'query_arg', hash_on_query_arg: 'x' }, {}), null)
})

test('a capture is found by name or number', () => {
  const captures = { named: { tenant: 'acme' }, unnamed: ['acme', 'two'] }
  const capture = (name: string): string | null =>
    hashOf({ hash_on: 'uri_capture', hash_on_uri_capture: name }, { captures })
  assert.equal(capture('tenant'), 'acme')
  assert.equal(capture('2'), 'two')
  assert.equal(capture('3'), null)
  assert.equal(capture('0'), null)
  assert.equal(capture('constructor'), null)
  assert.equal(hashOf({ hash_on: 'uri_capture', hash_on_uri_capture: 'tenant' }, {}), null)
})

test('a cookie that the client has is the value and is not set again', () => {
  const input = compileHashInput(anUpstream({ hash_on: 'cookie', hash_on_cookie: 'sticky' }), () => 'a-uuid')!
  const exchange = anExchange({
    headers: [
      ['Cookie', 'other=1; sticky=abc=d '],
      ['Cookie', 'sticky=later'],
    ],
  })
  assert.equal(input(exchange), 'abc=d')
  assert.equal(stickyCookieOf(exchange), null)
})

test('a client without the cookie gets one, the same for every try of the exchange', () => {
  let made = 0
  const input = compileHashInput(
    anUpstream({ hash_on: 'cookie', hash_on_cookie: 'sticky', hash_on_cookie_path: '/c' }),
    () => `uuid-${++made}`,
  )!
  const exchange = anExchange({ headers: [['Cookie', 'xsticky=1']] })
  assert.equal(input(exchange), 'uuid-1')
  assert.equal(input(exchange), 'uuid-1')
  assert.equal(stickyCookieOf(exchange), 'sticky=uuid-1; Path=/c; Same-Site=Lax; HttpOnly')
  assert.equal(input(anExchange()), 'uuid-2')
})
