import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange } from '#pdk/testing'
import { proxyCache } from './plugin.ts'
import { ask, opened, rfc, route, type Asked, type Opened } from './testing.ts'

const NOW = Date.now()

const STALE = { now: NOW - 20_000 }
const control = (value: string) => ({ 'Cache-Control': value })

/** Stores a response of 20 s ago, which was fresh for 10. */
async function store(cache: Opened, headers: Record<string, string>, body = 'old'): Promise<void> {
  await ask(cache, STALE, { headers, body })
}

const replaced = ({ exchange }: Asked) => exchange.response.replacement?.toString() ?? null

test('a stale response is asked for by its validators, and holds again when the upstream says so', async () => {
  const cache = rfc()
  const modified = 'Wed, 01 Jan 2020 00:00:00 GMT'
  await store(cache, {
    ...control('max-age=10'),
    ETag: '"e"',
    'Last-Modified': modified,
    'X-Kept': 'yes',
    'X-New': '1',
  })
  const news = { ...control('max-age=60'), 'X-New': '2', 'Content-Type': 'text/plain' }
  const again = await ask(cache, {}, { status: 304, headers: news })
  const { request, response } = again.exchange
  assert.equal(request.headers.get('if-none-match'), '"e"')
  assert.equal(request.headers.get('if-modified-since'), modified)
  assert.deepEqual([response.status, again.status, replaced(again)], [200, 'Refresh', 'old'])
  assert.deepEqual(
    ['x-kept', 'x-new', 'content-type'].map((name) => response.headers.get(name)),
    ['yes', '2', 'text/plain'],
  )
  const next = await ask(cache)
  assert.equal(next.status, 'Hit')
  assert.deepEqual([String(next.exit!.body), next.exit!.stored!.get('x-new')], ['old', '2'])
})

test('what the client asks of it is answered from what holds again', async () => {
  const cases: [Record<string, string>, number, string][] = [
    [{ 'If-None-Match': '"e"' }, 304, ''],
    [{ 'If-None-Match': '"x"' }, 200, 'old'],
    [{ Range: 'bytes=1-' }, 206, 'ld'],
  ]
  for (const [headers, status, body] of cases) {
    const cache = rfc()
    await store(cache, { ...control('max-age=10'), ETag: '"e"' })
    const asked = await ask(cache, { headers }, { status: 304, headers: control('max-age=60') })
    assert.equal(asked.exchange.request.headers.get('if-none-match'), '"e"')
    assert.equal(asked.exchange.request.headers.has('range'), false)
    assert.deepEqual([asked.exchange.response.status, replaced(asked)], [status, body], JSON.stringify(headers))
  }
})

test('a response that changed replaces the stale one', async () => {
  const cache = rfc()
  await store(cache, { ...control('max-age=10'), ETag: '"e"' })
  const asked = await ask(cache, {}, { headers: control('max-age=60'), body: 'new' })
  assert.deepEqual([asked.status, replaced(asked)], ['Refresh', null])
  assert.equal(String((await ask(cache)).exit!.body), 'new')
})

test('a 304 that says it must not be stored is the last that is served of it', async () => {
  const cache = rfc()
  await store(cache, { ...control('max-age=10'), ETag: '"e"' })
  const asked = await ask(cache, {}, { status: 304, headers: control('no-store') })
  assert.equal(replaced(asked), 'old')
  assert.equal((await ask(cache, {}, { headers: control('max-age=60') })).status, 'Miss')
})

test('who asks the upstream to be asked gets its word', async () => {
  const cache = rfc()
  await ask(cache, {}, { headers: { ...control('max-age=60, stale-if-error=60'), ETag: '"e"' } })
  const forced = { headers: control('no-cache') }
  assert.equal(replaced(await ask(cache, forced, { status: 304 })), 'hello')
  const failed = await ask(cache, forced, { status: 503 })
  assert.deepEqual([failed.exchange.response.status, replaced(failed)], [503, null])
})

test('when the upstream fails or is not there, a stale response may stand for it', async () => {
  const failures: [string, Parameters<typeof ask>[2]][] = [
    ['unreachable', 'unreachable'],
    ...[500, 502, 503, 504].map((status): [string, Parameters<typeof ask>[2]] => [String(status), { status }]),
  ]
  for (const [what, failure] of failures) {
    for (const [said, config] of [
      ['max-age=10, stale-if-error=60', {}],
      ['max-age=10', { stale_if_error: 60 }],
    ] as const) {
      const cache = rfc(config)
      await store(cache, control(said))
      const asked = await ask(cache, {}, failure)
      const { response } = asked.exchange
      assert.deepEqual([response.status, asked.status, replaced(asked)], [200, 'Stale', 'old'], `${what} ${said}`)
      assert.equal(response.headers.get('age'), String(Math.floor((Date.now() - STALE.now) / 1000)))
    }
  }
})

test('it may not when it is too old, must be asked for, or the answer is no failure of the upstream', async () => {
  const cases: [string, object, Parameters<typeof ask>[2]][] = [
    ['max-age=10, stale-if-error=5', {}, { status: 503 }],
    ['max-age=10, stale-if-error=60, must-revalidate', {}, { status: 503 }],
    ['s-maxage=10', { stale_if_error: 60 }, { status: 503 }],
    ['max-age=10, stale-if-error=0', { stale_if_error: 60 }, { status: 503 }],
    ['max-age=10, stale-if-error=60', {}, { status: 404 }],
    ['max-age=10, stale-if-error=60', {}, { status: 501 }],
  ]
  for (const [said, config, failure] of cases) {
    const cache = rfc({ storage_ttl: 1000, ...config })
    await store(cache, control(said))
    assert.equal(replaced(await ask(cache, {}, failure)), null, said)
  }
  const cache = rfc()
  await store(cache, control('max-age=10, stale-if-error=60'))
  const refused = fakeExchange({ now: NOW, route, response: { status: 503 } })
  assert.equal(proxyCache.access!(refused, cache.state), undefined)
  refused.response.source = 'exit'
  proxyCache.responseHeaders!(refused, cache.state)
  assert.equal(refused.response.replacement, null, 'another plugin refused')
  refused.upstream.isUnreachable = true
  proxyCache.responseHeaders!(refused, cache.state)
  assert.equal(String(refused.response.replacement), 'old')
})

test('who asks for what may not be served stale waits for who asks again', async () => {
  const cache = rfc({ storage_ttl: 1000 })
  await store(cache, control('max-age=10'))
  const first = fakeExchange({
    now: NOW,
    route,
    response: { status: 200, headers: { 'Content-Type': 'application/json', ...control('max-age=60') } },
  })
  assert.equal(proxyCache.access!(first, cache.state), undefined)
  const others = Array.from({ length: 20 }, () => ask(cache))
  proxyCache.responseHeaders!(first, cache.state)
  const transform = proxyCache.responseBody!(first, cache.state)!
  transform.chunk(Buffer.from('new'))
  transform.end()
  proxyCache.log!(first, cache.state)
  for (const { exit } of await Promise.all(others)) assert.equal(String(exit!.body), 'new')
})

test('without cache_control the configuration says for how long', async () => {
  const cache = opened({ cache_ttl: 10, stale_if_error: 60 })
  await store(cache, {})
  assert.equal(replaced(await ask(cache, {}, 'unreachable')), 'old')
})
