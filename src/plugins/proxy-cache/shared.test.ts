import assert from 'node:assert/strict'
import { test } from 'node:test'
import { completeConfig, FakeSharedStore, fakeExchange } from '#pdk/testing'
import { proxyCache } from './plugin.ts'
import { ask, JSON_TYPE, opened, route, type Opened } from './testing.ts'

const NOW = Date.now()

/** Nodes that share a Redis. */
function nodes(config: object = {}): { store: FakeSharedStore; one: Opened; other: Opened } {
  const store = new FakeSharedStore()
  return { store, one: opened(config, store), other: opened(config, store) }
}

const MAX_AGE = { 'Cache-Control': 'max-age=60' }

test('a Redis has to be named', () => {
  for (const redis of [undefined, {}, { port: 6379 }])
    assert.throws(() => completeConfig(proxyCache, { strategy: 'redis', ...(redis && { redis }) }), {
      field: 'redis.host',
      message: /needs the address of a Redis, or the name of a profile/,
    })
})

test('what one node stored another one answers with, and then has itself', async () => {
  const { store, one, other } = nodes()
  assert.equal((await ask(one, {}, { body: 'made' })).status, 'Miss')
  const { exit, status } = await ask(other)
  assert.deepEqual([status, String(exit!.body)], ['Hit', 'made'])
  store.isUp = false
  assert.equal((await ask(other)).status, 'Hit')
})

test('without an answer of Redis a node goes on with its own memory', async () => {
  for (const change of [
    (store: FakeSharedStore) => (store.isUp = false),
    (store: FakeSharedStore) => (store.isSilent = true),
  ]) {
    const { store, one, other } = nodes()
    change(store)
    assert.equal((await ask(one)).status, 'Miss')
    assert.equal((await ask(one)).status, 'Hit')
    assert.equal((await ask(other)).status, 'Miss')
  }
})

test('of many that ask on several nodes one reaches the upstream', async () => {
  const { one, other } = nodes()
  const first = fakeExchange({ now: Date.now(), route, response: { status: 200, headers: JSON_TYPE } })
  assert.equal(await proxyCache.access!(first, one.state), undefined)
  const others = Array.from({ length: 50 }, (_, at) => ask(at % 2 === 0 ? one : other, { now: Date.now() }))
  await new Promise((resolve) => setTimeout(resolve, 30))
  proxyCache.responseHeaders!(first, one.state)
  const transform = proxyCache.responseBody!(first, one.state)!
  transform.chunk(Buffer.from('once'))
  transform.end()
  proxyCache.log!(first, one.state)
  for (const { exit } of await Promise.all(others)) assert.equal(String(exit!.body), 'once')
})

test('a fetch that fails lets another node try', async () => {
  const { one, other } = nodes()
  const first = fakeExchange({ now: Date.now(), route, response: { status: 502 } })
  assert.equal(await proxyCache.access!(first, one.state), undefined)
  const second = ask(other, { now: Date.now() })
  first.response.source = 'error'
  proxyCache.log!(first, one.state)
  assert.equal((await second).status, 'Miss')
})

test('nodes tell each other what is not worth waiting for', async () => {
  const { store, one, other } = nodes()
  await ask(one, {}, { status: 500 })
  assert.equal(store.claims.size, 0)
  assert.equal((await ask(other, {}, { status: 500 })).status, 'Bypass')
  const exchange = fakeExchange({ now: NOW, route })
  assert.equal(await proxyCache.access!(exchange, other.state), undefined)
  assert.equal(store.claims.size, 0, 'nobody claims what can not be stored')
})

test('a client that leaves while Redis is asked holds up nobody', async () => {
  const { store, one } = nodes()
  const gone = fakeExchange({ now: NOW, route })
  const asking = proxyCache.access!(gone, one.state)
  gone.totalLatencyMs = 1
  assert.equal(await asking, undefined)
  assert.equal(store.claims.size, 0)
  assert.equal((await ask(one)).status, 'Miss')
})

test('variants are shared, too', async () => {
  const { one, other } = nodes({ cache_control: true })
  const german = { headers: { 'Accept-Language': 'de' } }
  const english = { headers: { 'Accept-Language': 'en' } }
  const upstream = { headers: { ...MAX_AGE, Vary: 'Accept-Language' } }
  await ask(one, german, { ...upstream, body: 'eins' })
  await ask(one, english, { ...upstream, body: 'one' })
  assert.equal(String((await ask(other, german)).exit!.body), 'eins')
  assert.equal(String((await ask(other, english)).exit!.body), 'one')
  assert.equal((await ask(other, {}, upstream)).status, 'Miss')
})

test('a stale response of another node is asked for by its validators', async () => {
  const { one, other } = nodes({ cache_control: true })
  await ask(one, { now: NOW - 70_000 }, { headers: { ...MAX_AGE, ETag: '"e"' }, body: 'old' })
  const { exchange, status } = await ask(other, {}, { status: 304, headers: MAX_AGE })
  assert.equal(exchange.request.headers.get('if-none-match'), '"e"')
  assert.deepEqual([status, String(exchange.response.replacement)], ['Refresh', 'old'])
  assert.equal((await ask(one)).status, 'Hit')
})

test('what changes a resource drops it for all nodes', async () => {
  const { one, other } = nodes({ cache_control: true })
  await ask(one, { path: '/a' }, { headers: MAX_AGE })
  await ask(other, { path: '/a', method: 'POST' }, { status: 204 })
  assert.equal((await ask(other, { path: '/a' }, { headers: MAX_AGE })).status, 'Miss')
})

test('only-if-cached asks the other nodes, and nobody else', async () => {
  const { one, other } = nodes({ cache_control: true })
  const only = { headers: { 'Cache-Control': 'only-if-cached' } }
  assert.equal((await ask(other, only)).exit!.status, 504)
  await ask(one, {}, { headers: MAX_AGE })
  assert.equal((await ask(other, only)).status, 'Hit')
})
