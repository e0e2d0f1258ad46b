import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange } from '#pdk'
import { FakeSharedStore, fakeExchange } from '#pdk/testing'
import { proxyCache } from './plugin.ts'
import { ask, opened, rfc, route, type Asked, type Opened } from './testing.ts'

const NOW = Date.now()
const MEANWHILE = { 'Cache-Control': 'max-age=10, stale-while-revalidate=60' }
const FRESH = { 'Cache-Control': 'max-age=60' }

/** Stores a response of 20 s ago, which was fresh for 10. */
async function store(cache: Opened, headers: Record<string, string> = MEANWHILE, request: object = {}): Promise<void> {
  await ask(cache, { now: NOW - 20_000, ...request }, { headers, body: 'old' })
}

const bodyOf = ({ exit }: Asked) => (exit === null ? null : String(exit.body))
const countsOf = ({ metrics }: Opened) =>
  Object.fromEntries(Object.entries(metrics.counts).map(([name, count]) => [name.replace('proxy-cache ', ''), count]))

test('the client gets what is stale, and a request without a client what is fresh', async () => {
  for (const [said, config] of [
    ['max-age=10, stale-while-revalidate=60', {}],
    ['max-age=10', { stale_while_revalidate: 60 }],
  ] as const) {
    const cache = rfc(config)
    await store(cache, { 'Cache-Control': said })
    const asked = await ask(cache, {}, { headers: FRESH, body: 'new' })
    assert.deepEqual([asked.status, bodyOf(asked), asked.repeated.length], ['Stale', 'old', 1])
    const { status } = await asked.repeated[0]!
    assert.equal(status, null, 'nobody is told of it')
    const next = await ask(cache)
    assert.deepEqual([next.status, bodyOf(next), next.repeated.length], ['Hit', 'new', 0])
    assert.deepEqual(countsOf(cache), { refreshed: 1 })
  }
})

test('without cache_control the configuration says for how long', async () => {
  const cache = opened({ cache_ttl: 10, stale_while_revalidate: 60 })
  await store(cache, { ETag: '"e"' })
  const asked = await ask(cache, {}, { status: 304 })
  assert.equal(bodyOf(asked), 'old')
  const { exchange } = await asked.repeated[0]!
  assert.equal(exchange.request.headers.get('if-none-match'), '"e"')
  assert.equal((await ask(cache)).status, 'Hit')
})

test('it asks by the validators of what is stale, and not for what the client asks of it', async () => {
  const cache = rfc()
  const modified = 'Wed, 01 Jan 2020 00:00:00 GMT'
  await store(cache, { ...MEANWHILE, ETag: '"e"', 'Last-Modified': modified })
  const headers = { Range: 'bytes=1-', 'If-None-Match': '"x"', 'If-Match': '"y"', 'If-Unmodified-Since': modified }
  const asked = await ask(cache, { headers }, { status: 304, headers: FRESH })
  assert.deepEqual([asked.status, bodyOf(asked)], ['Stale', 'ld'])
  const { exchange } = await asked.repeated[0]!
  const sent = exchange.request.headers
  assert.deepEqual(
    ['if-none-match', 'if-modified-since', 'range', 'if-match', 'if-unmodified-since'].map((name) => sent.get(name)),
    ['"e"', modified, null, null, null],
  )
  assert.equal(bodyOf(await ask(cache)), 'old')
  assert.deepEqual(countsOf(cache), { refreshed: 1 })
})

test('without a validator it asks for the whole', async () => {
  const cache = rfc()
  await store(cache)
  const asked = await ask(cache, { headers: { Range: 'bytes=1-' } }, { headers: FRESH, body: 'new' })
  const { exchange } = await asked.repeated[0]!
  assert.equal(exchange.request.headers.has('range'), false)
  assert.equal(bodyOf(await ask(cache)), 'new')
})

test('one asks for all', async () => {
  const cache = rfc()
  await store(cache)
  const asking = Array.from({ length: 20 }, () => ask(cache, {}, { headers: FRESH, body: 'new' }))
  const asked = await Promise.all(asking)
  assert.deepEqual(
    asked.map(({ status }) => status),
    Array(20).fill('Stale'),
  )
  assert.equal(asked.flatMap(({ repeated }) => repeated).length, 1)
})

test('one that fails leaves what is stale, and is not tried again at once', async () => {
  for (const failure of ['unreachable', { status: 500 }, { status: 429 }, { status: 403 }] as const) {
    const cache = rfc()
    await store(cache)
    const asked = await ask(cache, {}, failure)
    assert.equal(bodyOf(asked), 'old')
    await asked.repeated[0]!
    const again = await ask(cache, {}, failure)
    assert.deepEqual([bodyOf(again), again.repeated.length], ['old', 0])
    const later = await ask(cache, { now: Date.now() + 1001 }, { headers: FRESH, body: 'new' })
    assert.equal(later.repeated.length, 1)
    await later.repeated[0]!
    assert.equal(bodyOf(await ask(cache)), 'new')
    assert.deepEqual(countsOf(cache), { refresh_failed: 1, refreshed: 1 })
  }
})

test('what the upstream says must not be stored any more is not served any more', async () => {
  for (const upstream of [{ headers: { 'Cache-Control': 'no-store' } }, { status: 404 }, { status: 410 }]) {
    const cache = rfc()
    await store(cache)
    const asked = await ask(cache, {}, upstream)
    assert.equal(bodyOf(asked), 'old')
    await asked.repeated[0]!
    assert.equal((await ask(cache, {}, upstream)).status, 'Bypass')
  }
})

test('beyond the window, and where nothing stale may be served, the client waits for the upstream', async () => {
  const cases: [string, object][] = [
    ['max-age=10, stale-while-revalidate=5', {}],
    ['max-age=10, stale-while-revalidate=60, must-revalidate', {}],
    ['max-age=10, stale-while-revalidate=60', { headers: { 'Cache-Control': 'no-cache' } }],
    ['max-age=10, stale-while-revalidate=60', { headers: { 'Cache-Control': 'max-age=15' } }],
    ['max-age=10, stale-while-revalidate=60', { headers: { 'Cache-Control': 'min-fresh=1' } }],
  ]
  for (const [said, request] of cases) {
    const cache = rfc({ storage_ttl: 1000 })
    await store(cache, { 'Cache-Control': said })
    const asked = await ask(cache, request, { headers: FRESH, body: 'new' })
    assert.deepEqual(
      [asked.status, bodyOf(asked), asked.repeated.length],
      ['Refresh', null, 0],
      JSON.stringify(request),
    )
  }
})

test('a worker without room serves what is stale all the same', async () => {
  const cache = rfc()
  await store(cache)
  const exchange = fakeExchange({ now: NOW, route })
  exchange.chooser = { choose: () => false, locate: () => null, repeat: () => false }
  const exit = await proxyCache.access!(exchange, cache.state)
  assert.equal(String(exit!.body), 'old')
  assert.deepEqual(countsOf(cache), { refresh_skipped: 1 })
  assert.equal((await ask(cache)).repeated.length, 1, 'the next one may')
})

test('a request that can not be repeated asks itself, and the others are served what is stale', async () => {
  const cache = opened({ cache_ttl: 10, stale_while_revalidate: 60 })
  await store(cache, {})
  const first = fakeExchange({ now: NOW, route, body: 'a body' })
  first.chooser = { choose: () => false, locate: () => null, repeat: () => assert.fail('it has a body') }
  assert.equal(proxyCache.access!(first, cache.state), undefined)
  const { status, repeated } = await ask(cache)
  assert.deepEqual([status, repeated.length], ['Stale', 0])
  proxyCache.log!(first, cache.state)
})

test('variants are asked for each by itself', async () => {
  const cache = rfc()
  const vary = { Vary: 'Accept-Language' }
  const [de, en] = ['de', 'en'].map((language) => ({ headers: { 'Accept-Language': language } }))
  for (const request of [de, en]) await store(cache, { ...MEANWHILE, ...vary }, request)
  const asked = await ask(cache, de, { headers: { ...FRESH, ...vary }, body: 'neu' })
  assert.equal(bodyOf(asked), 'old')
  await asked.repeated[0]!
  assert.equal(bodyOf(await ask(cache, de)), 'neu')
  assert.equal((await ask(cache, en)).status, 'Stale')
})

test('one node of a data center asks; the others find what it stored', async () => {
  const shared = new FakeSharedStore()
  const [one, other] = [0, 1].map(() => opened({ cache_control: true }, shared)) as [Opened, Opened]
  await store(one)
  // The other node has nothing of its own: what is stale comes out of Redis, and with it the claim.
  const asked = await ask(other, {}, { headers: FRESH, body: 'new' })
  assert.deepEqual([asked.status, bodyOf(asked), asked.repeated.length], ['Stale', 'old', 1])
  const meanwhile = await ask(one, {}, { headers: FRESH, body: 'never' })
  assert.equal(bodyOf(meanwhile), 'old')
  await Promise.all([...asked.repeated, ...meanwhile.repeated])
  assert.equal(bodyOf(await ask(one)), 'new')
  assert.deepEqual([countsOf(one), countsOf(other)], [{ refresh_shared: 1 }, { refreshed: 1 }])
  assert.equal(shared.claims.size, 0)
})

test('without Redis each node asks for itself', async () => {
  for (const isUp of [false, true]) {
    const shared = new FakeSharedStore()
    const node = opened({ cache_control: true }, shared)
    await store(node)
    shared.isUp = isUp
    shared.isSilent = true
    const asked = await ask(node, {}, { headers: FRESH, body: 'new' })
    assert.equal(asked.status, 'Stale')
    await asked.repeated[0]!
    assert.equal(bodyOf(await ask(node)), 'new')
    assert.deepEqual(countsOf(node), { refreshed: 1 })
  }
})

test('what one node found out not to be stored any more no node serves', async () => {
  const shared = new FakeSharedStore()
  const [one, other] = [0, 1].map(() => opened({ cache_control: true }, shared)) as [Opened, Opened]
  await store(one)
  assert.equal((await ask(other, {}, { status: 503 })).status, 'Stale', 'it has it as well')
  const noStore = { headers: { 'Cache-Control': 'no-store' } }
  const asked = await ask(one, {}, noStore)
  await asked.repeated[0]!
  assert.equal((await ask(one, {}, noStore)).status, 'Bypass')
  assert.equal(shared.kept.size, 0)
})

test('one that takes long keeps the lock of the node until it has ended', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const cache = rfc()
  await store(cache)
  const kept: number[] = []
  const keep = cache.responses.keepFill.bind(cache.responses)
  cache.responses.keepFill = (text, token) => {
    kept.push(token)
    return keep(text, token)
  }
  const first = fakeExchange({ now: NOW, route })
  const copy = fakeExchange({ now: NOW, route })
  copy.hasClient = false
  const repeat = (_: string, __: number, begin: (copy: Exchange) => void) => (begin(copy), true)
  first.chooser = { choose: () => false, locate: () => null, repeat }
  assert.equal(String((await proxyCache.access!(first, cache.state))!.body), 'old')
  await proxyCache.access!(copy, cache.state)
  t.mock.timers.tick(20_000)
  assert.equal(kept.length, 4)
  assert.equal((await ask(cache)).repeated.length, 0)
  copy.response.source = 'error'
  proxyCache.responseHeaders!(copy, cache.state)
  proxyCache.log!(copy, cache.state)
  t.mock.timers.tick(20_000)
  assert.equal(kept.length, 4)
  assert.deepEqual(countsOf(cache), { refresh_failed: 1 })
})
