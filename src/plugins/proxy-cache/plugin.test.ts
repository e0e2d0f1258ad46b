import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, type FakeExchangeOptions } from '#pdk/testing'
import { proxyCache } from './plugin.ts'
import { ask, JSON_TYPE, opened, rfc, route } from './testing.ts'

const NOW = Date.now()

test('what the cache did is counted', async () => {
  const cache = opened()
  await ask(cache)
  await ask(cache)
  await ask(cache)
  await ask(cache, {}, { status: 500 })
  await ask(cache, { path: '/b' }, { status: 500 })
  const values = Object.entries(cache.metrics.cached).map(([status, { value }]) => [status, value])
  assert.deepEqual(Object.fromEntries(values), { Hit: 3, Stale: 0, Miss: 1, Refresh: 0, Bypass: 1 })
})

test('the second request is answered with what the first one got', async () => {
  const cache = opened()
  const first = await ask(cache, { path: '/a' }, { headers: { 'X-Up': '1' }, body: 'made' })
  assert.equal(first.status, 'Miss')
  const { exit, status } = await ask(cache, { path: '/a' })
  assert.equal(status, 'Hit')
  assert.equal(exit!.status, 200)
  assert.equal(String(exit!.body), 'made')
  assert.equal(exit!.stored!.get('x-up'), '1')
  assert.equal(exit!.stored!.get('age'), '0')
  assert.equal(exit!.stored!.get('x-cache-key'), first.exchange.response.headers.get('x-cache-key'))
  assert.match(exit!.stored!.get('x-cache-key')!, /^[0-9a-f]{64}$/)
})

test('requests that may get another response are kept apart', async () => {
  const consumer = (id: string) => ({ consumer: { id } })
  const pairs: [string, object, FakeExchangeOptions, FakeExchangeOptions][] = [
    ['path', {}, { path: '/a' }, { path: '/b' }],
    ['case of the path', {}, { path: '/a' }, { path: '/A' }],
    ['query', {}, { path: '/?a=1' }, { path: '/?a=2' }],
    ['order of values of one argument', {}, { path: '/?a=1&a=2' }, { path: '/?a=2&a=1' }],
    ['host', {}, { headers: { Host: 'a.test' } }, { headers: { Host: 'b.test' } }],
    ['scheme', {}, { scheme: 'http' }, { scheme: 'https' }],
    ['route', {}, {}, { route: { id: '00000000-0000-4000-8000-00000000000b' } }],
    ['consumer', {}, consumer('1'), consumer('2')],
    ['Authorization', {}, { headers: { Authorization: 'Bearer a' } }, { headers: { Authorization: 'Bearer b' } }],
    ['Authorization or none', {}, { headers: { Authorization: 'Bearer a' } }, {}],
    ['vary_headers', { vary_headers: ['X-Lang'] }, { headers: { 'X-Lang': 'de' } }, { headers: { 'X-Lang': 'en' } }],
    ['vary_query_params', { vary_query_params: ['a'] }, { path: '/?a=1' }, { path: '/?a=2' }],
  ]
  for (const [what, config, one, other] of pairs) {
    const cache = opened(config)
    await ask(cache, one)
    assert.equal((await ask(cache, other)).status, 'Miss', what)
    assert.equal((await ask(cache, one)).status, 'Hit', what)
  }
})

test('requests that get the same response share it', async () => {
  const pairs: [string, object, FakeExchangeOptions, FakeExchangeOptions][] = [
    ['order of arguments', {}, { path: '/?a=1&b=2' }, { path: '/?b=2&a=1' }],
    ['ignore_uri_case', { ignore_uri_case: true }, { path: '/a' }, { path: '/A' }],
    ['other arguments', { vary_query_params: ['a'] }, { path: '/?a=1&b=1' }, { path: '/?b=2&a=1' }],
    ['other headers', {}, { headers: { 'X-A': '1' } }, { headers: { 'X-A': '2' } }],
  ]
  for (const [what, config, one, other] of pairs) {
    const cache = opened(config)
    await ask(cache, one)
    assert.equal((await ask(cache, other)).status, 'Hit', what)
  }
})

test('what is not to be stored passes, and says so', async () => {
  const cases: [string, object, FakeExchangeOptions, Parameters<typeof ask>[2]][] = [
    ['method', {}, { method: 'POST' }, {}],
    ['status', {}, {}, { status: 500 }],
    ['a part', { response_code: [200, 206] }, {}, { status: 206, headers: { 'Content-Range': 'bytes 0-1/2' } }],
    ['not modified', { response_code: [304] }, {}, { status: 304 }],
    ['type', {}, {}, { headers: { 'Content-Type': 'text/css' } }],
    ['parameters of the type', {}, {}, { headers: { 'Content-Type': 'application/json; charset=utf-8' } }],
    ['WebSocket', {}, { headers: { Connection: 'upgrade', Upgrade: 'websocket' } }, {}],
    ['too large', {}, {}, { headers: { 'Content-Length': String(2 << 20) } }],
  ]
  for (const [what, config, request, upstream] of cases) {
    const cache = opened(config)
    assert.equal((await ask(cache, request, upstream)).status, 'Bypass', what)
    assert.equal((await ask(cache, request, upstream)).status, 'Bypass', what)
    assert.equal(cache.responses.kept.size, 0, what)
  }
})

test('a body that turns out too large passes and is not stored', async () => {
  const cache = opened()
  cache.responses.largestBytes = 600
  await ask(cache, {}, { body: 'x'.repeat(1_000) })
  assert.equal(cache.responses.kept.size, 0)
})

test('a response is fresh for cache_ttl, and asked for anew while it is kept longer', async () => {
  const cache = opened({ cache_ttl: 10, storage_ttl: 100 })
  await ask(cache, { now: NOW - 11_000 })
  assert.equal((await ask(cache)).status, 'Refresh')
  assert.equal((await ask(cache)).status, 'Hit')
})

test('headers of one exchange are not given to the next', async () => {
  const cache = opened()
  const headers = {
    Connection: 'close',
    'X-Kong-Upstream-Latency': '3',
    'RateLimit-Remaining': '4',
    'X-RateLimit-Remaining-Minute': '4',
    'X-Kept': 'yes',
  }
  await ask(cache, {}, { headers })
  const { stored } = (await ask(cache)).exit!
  assert.deepEqual([...stored!].map(([name]) => name).toSorted(), [
    'Age',
    'Content-Type',
    'Date',
    'X-Cache-Key',
    'X-Cache-Status',
    'X-Kept',
  ])
})

test('response_headers turn them off, and Kong-Debug shows them to who asks', async () => {
  const cache = opened({ response_headers: { age: false, 'X-Cache-Status': false, 'X-Cache-Key': false } })
  const first = await ask(cache)
  assert.equal(first.status, null)
  const { stored } = (await ask(cache)).exit!
  assert.deepEqual(
    [stored!.has('age'), stored!.has('x-cache-status'), stored!.has('x-cache-key')],
    [false, false, false],
  )
  assert.equal((await ask(cache, { headers: { 'Kong-Debug': '1' } })).status, 'Hit')
})

test('a client that has it already is told so', async () => {
  const cache = opened()
  const modified = 'Wed, 01 Jan 2020 00:00:00 GMT'
  await ask(cache, {}, { headers: { ETag: '"e"', 'Last-Modified': modified } })
  const unchanged: Record<string, string>[] = [
    { 'If-None-Match': '"e"' },
    { 'If-None-Match': '"x", W/"e"' },
    { 'If-None-Match': '*' },
    { 'If-Modified-Since': modified },
    { 'If-Modified-Since': 'Thu, 02 Jan 2020 00:00:00 GMT' },
  ]
  for (const headers of unchanged) {
    const { exit } = await ask(cache, { headers })
    assert.equal(exit!.status, 304, JSON.stringify(headers))
    assert.equal(exit!.body, null)
    assert.equal(exit!.stored!.has('content-type'), false)
    assert.equal(exit!.stored!.get('etag'), '"e"')
  }
  const changed: Record<string, string>[] = [
    { 'If-None-Match': '"x"' },
    { 'If-None-Match': '"x"', 'If-Modified-Since': modified },
    { 'If-Modified-Since': 'Tue, 31 Dec 2019 00:00:00 GMT' },
    { 'If-Modified-Since': 'never' },
  ]
  for (const headers of changed)
    assert.equal((await ask(cache, { headers })).exit!.status, 200, JSON.stringify(headers))
})

test('a client gets the part that it asks for', async () => {
  const cache = opened()
  await ask(cache, {}, { headers: { ETag: '"e"' }, body: '0123456789' })
  const cases: [Record<string, string>, number, string, string | null][] = [
    [{ Range: 'bytes=2-4' }, 206, '234', 'bytes 2-4/10'],
    [{ Range: 'bytes=8-' }, 206, '89', 'bytes 8-9/10'],
    [{ Range: 'bytes=8-100' }, 206, '89', 'bytes 8-9/10'],
    [{ Range: 'bytes=-3' }, 206, '789', 'bytes 7-9/10'],
    [{ Range: 'bytes=2-4', 'If-Range': '"e"' }, 206, '234', 'bytes 2-4/10'],
    [{ Range: 'bytes=2-4', 'If-Range': '"old"' }, 200, '0123456789', null],
    [{ Range: 'bytes=10-' }, 416, '', 'bytes */10'],
    [{ Range: 'bytes=-0' }, 416, '', 'bytes */10'],
    [{ Range: 'bytes=0-1,3-4' }, 200, '0123456789', null],
    [{ Range: 'lines=0-1' }, 200, '0123456789', null],
    [{ Range: 'bytes=4-2' }, 200, '0123456789', null],
  ]
  for (const [headers, status, body, range] of cases) {
    const { exit } = await ask(cache, { headers })
    assert.equal(exit!.status, status, JSON.stringify(headers))
    assert.equal(String(exit!.body), body, JSON.stringify(headers))
    assert.equal(exit!.stored!.get('content-range'), range, JSON.stringify(headers))
  }
})

test('of many that ask at once one reaches the upstream, the others get its response', async () => {
  const cache = opened()
  const first = fakeExchange({ now: NOW, route, response: { status: 200, headers: JSON_TYPE } })
  assert.equal(proxyCache.access!(first, cache.state), undefined)
  const others = Array.from({ length: 100 }, () => ask(cache))
  await Promise.resolve()
  proxyCache.responseHeaders!(first, cache.state)
  const transform = proxyCache.responseBody!(first, cache.state)!
  transform.chunk(Buffer.from('once'))
  transform.end()
  proxyCache.log!(first, cache.state)
  for (const { exit } of await Promise.all(others)) assert.equal(String(exit!.body), 'once')
})

test('a fetch that fails lets another one try', async () => {
  const cache = opened()
  const first = fakeExchange({ now: NOW, route, response: { status: 502 } })
  assert.equal(proxyCache.access!(first, cache.state), undefined)
  const second = ask(cache)
  first.response.source = 'error'
  proxyCache.log!(first, cache.state)
  assert.equal((await second).status, 'Miss')
})

test('nobody waits for responses that can not be stored', async () => {
  const cache = opened()
  await ask(cache, {}, { status: 500 })
  const one = fakeExchange({ now: NOW, route })
  const other = fakeExchange({ now: NOW, route })
  assert.equal(proxyCache.access!(one, cache.state), undefined)
  assert.equal(proxyCache.access!(other, cache.state), undefined)
})

// With cache_control.

const MAX_AGE = { 'Cache-Control': 'max-age=60' }

test('cache_control: stored is what RFC 9111 allows to store', async () => {
  const far = new Date(NOW + 60_000).toUTCString()
  const bearer = { headers: { Authorization: 'Bearer a' } }
  const cases: [string, 'Miss' | 'Bypass', FakeExchangeOptions, Record<string, string>][] = [
    ['nothing said', 'Bypass', {}, {}],
    ['max-age', 'Miss', {}, MAX_AGE],
    ['max-age in quotes', 'Miss', {}, { 'Cache-Control': 'max-age="60"' }],
    ['max-age=0', 'Bypass', {}, { 'Cache-Control': 'max-age=0' }],
    ['max-age that is none', 'Bypass', {}, { 'Cache-Control': 'max-age=soon' }],
    ['older than max-age', 'Bypass', {}, { ...MAX_AGE, Age: '60' }],
    ['s-maxage before max-age', 'Bypass', {}, { 'Cache-Control': 's-maxage=0, max-age=60' }],
    ['Expires', 'Miss', {}, { Expires: far }],
    ['Age that is none', 'Bypass', {}, { ...MAX_AGE, Age: 'old' }],
    ['the first age of a list', 'Miss', {}, { ...MAX_AGE, Age: '0, 7200' }],
    ['must-understand', 'Miss', {}, { 'Cache-Control': 'max-age=60, must-understand' }],
    ['Expires that is none', 'Bypass', {}, { Expires: '0' }],
    ['max-age before Expires', 'Miss', {}, { ...MAX_AGE, Expires: 'Thu, 01 Jan 1970 00:00:00 GMT' }],
    ['no-store', 'Bypass', {}, { 'Cache-Control': 'no-store, max-age=60' }],
    ['private', 'Bypass', {}, { 'Cache-Control': 'Private, max-age=60' }],
    ['private with names', 'Bypass', {}, { 'Cache-Control': 'private="a, max-age=1", max-age=60' }],
    ['no-cache', 'Bypass', {}, { 'Cache-Control': 'no-cache, max-age=60' }],
    ['Authorization', 'Bypass', bearer, MAX_AGE],
    ['Authorization, public', 'Miss', bearer, { 'Cache-Control': 'public, max-age=60' }],
    ['Authorization, s-maxage', 'Miss', bearer, { 'Cache-Control': 's-maxage=60' }],
    ['Authorization, must-revalidate', 'Miss', bearer, { 'Cache-Control': 'must-revalidate, max-age=60' }],
    ['Set-Cookie', 'Bypass', {}, { ...MAX_AGE, 'Set-Cookie': 'a=b' }],
    ['Set-Cookie, public', 'Miss', {}, { 'Cache-Control': 'public, max-age=60', 'Set-Cookie': 'a=b' }],
    ['Vary: *', 'Bypass', {}, { ...MAX_AGE, Vary: 'X-A, *' }],
  ]
  for (const [what, expected, request, headers] of cases)
    assert.equal((await ask(rfc(), request, { headers })).status, expected, what)
})

test('cache_control: a response answers requests with the same values of what it varies by', async () => {
  const cache = rfc()
  const upstream = { headers: { ...MAX_AGE, Vary: 'X-B, X-A' } }
  await ask(cache, { headers: { 'X-A': '1' } }, { ...upstream, body: 'one' })
  assert.equal((await ask(cache, { headers: { 'X-A': '2' } }, { ...upstream, body: 'two' })).status, 'Miss')
  assert.equal((await ask(cache, {}, { ...upstream, body: 'none' })).status, 'Miss')
  assert.equal(String((await ask(cache, { headers: { 'X-A': '1' } })).exit!.body), 'one')
  assert.equal(String((await ask(cache, { headers: { 'X-A': '2' } })).exit!.body), 'two')
  assert.equal(String((await ask(cache)).exit!.body), 'none')
})

test('cache_control: what is dropped by its key is gone with all of its variants', async () => {
  const cache = rfc()
  const upstream = { headers: { ...MAX_AGE, Vary: 'X-A' } }
  const one = await ask(cache, { headers: { 'X-A': '1' } }, upstream)
  await ask(cache, { headers: { 'X-A': '2' } }, upstream)
  cache.responses.purge(`key:${one.exchange.response.headers.get('x-cache-key')}`)
  assert.equal((await ask(cache, { headers: { 'X-A': '1' } }, upstream)).status, 'Miss')
  assert.equal((await ask(cache, { headers: { 'X-A': '2' } }, upstream)).status, 'Miss')
})

test('cache_control: what varies is compared as lists, whose spaces and fields say nothing', async () => {
  const cache = rfc()
  const upstream = { headers: { ...MAX_AGE, Vary: 'Accept-Language, X-A' } }
  await ask(cache, { headers: { 'Accept-Language': 'de, en;q=0.5', 'X-A': 'A' } }, upstream)
  assert.equal((await ask(cache, { headers: { 'Accept-Language': 'DE,en;q=0.5', 'X-A': 'A' } })).status, 'Hit')
  assert.equal(
    (await ask(cache, { headers: { 'Accept-Language': 'de,en;q=0.5', 'X-A': 'a' } }, upstream)).status,
    'Miss',
  )
})

test('cache_control: what has to be asked for each time is kept to be asked for, and nobody waits for it', async () => {
  for (const control of ['no-cache', 'max-age=0', 'no-cache, max-age=60']) {
    const cache = rfc()
    const upstream = { headers: { 'Cache-Control': control, ETag: '"e"' } }
    await ask(cache, {}, upstream)
    const exchanges = [1, 2].map(() => fakeExchange({ now: NOW, route }))
    for (const exchange of exchanges) {
      assert.equal(proxyCache.access!(exchange, cache.state), undefined, control)
      assert.equal(exchange.request.headers.get('if-none-match'), '"e"')
    }
    const again = await ask(cache, {}, { status: 304, headers: { 'Cache-Control': control } })
    assert.deepEqual([again.status, String(again.exchange.response.replacement)], ['Refresh', 'hello'])
  }
})

test('cache_control: what changes a resource drops what its answer points to, of the same origin', async () => {
  for (const name of ['Location', 'Content-Location']) {
    for (const [target, expected] of [
      ['/b', 'Miss'],
      ['http://gw.test/b', 'Miss'],
      ['b', 'Miss'],
      ['http://other.test/b', 'Hit'],
      ['http://[', 'Hit'],
    ] as const) {
      const cache = rfc()
      await ask(cache, { path: '/b' }, { headers: MAX_AGE })
      await ask(cache, { path: '/a', method: 'POST' }, { status: 201, headers: { [name]: target } })
      assert.equal((await ask(cache, { path: '/b' }, { headers: MAX_AGE })).status, expected, `${name}: ${target}`)
    }
  }
})

test('cache_control: age is counted from when the upstream made it', async () => {
  const cache = rfc()
  await ask(cache, { now: NOW - 5_000 }, { headers: { ...MAX_AGE, Age: '20' } })
  assert.equal((await ask(cache, { now: NOW })).exit!.stored!.get('age'), '25')
})

test('cache_control: a client says what it takes', async () => {
  const cache = rfc()
  await ask(cache, { now: NOW - 10_000 }, { headers: MAX_AGE })
  const asking = async (value: string) => {
    const { exit, exchange, status } = await ask(cache, { headers: { 'Cache-Control': value } }, { status: 500 })
    return exit?.stored ? status : (exit?.status ?? exchange.response.headers.get('x-cache-status'))
  }
  assert.equal(await asking('max-age=20'), 'Hit')
  assert.equal(await asking('max-age=5'), 'Bypass')
  assert.equal(await asking('min-fresh=30'), 'Hit')
  assert.equal(await asking('min-fresh=55'), 'Bypass')
  assert.equal(await asking('no-cache'), 'Bypass')
  assert.equal(await asking('no-store'), 'Bypass')
  assert.equal(await asking('only-if-cached'), 'Hit')
  assert.equal((await ask(cache, { path: '/other', headers: { 'Cache-Control': 'only-if-cached' } })).exit!.status, 504)
  assert.equal((await ask(cache, { headers: { Pragma: 'no-cache' } }, { headers: MAX_AGE })).status, 'Refresh')
})

test('cache_control: HEAD is answered from what GET stored, and stores nothing', async () => {
  const cache = rfc()
  assert.equal((await ask(cache, { method: 'HEAD' }, { headers: MAX_AGE })).status, 'Miss')
  assert.equal((await ask(cache, {}, { headers: MAX_AGE, body: 'whole' })).status, 'Miss')
  const { exit, status } = await ask(cache, { method: 'HEAD' })
  assert.equal(status, 'Hit')
  assert.equal(String(exit!.body), 'whole')
})

test('cache_control: what changes a resource drops what is stored for its address, if it went well', async () => {
  const cache = rfc()
  await ask(cache, { path: '/a' }, { headers: MAX_AGE })
  await ask(cache, { path: '/b' }, { headers: MAX_AGE })
  await ask(cache, { path: '/a', method: 'POST' }, { status: 500 })
  assert.equal((await ask(cache, { path: '/a' })).status, 'Hit')
  await ask(cache, { path: '/a', method: 'POST' }, { status: 204 })
  assert.equal((await ask(cache, { path: '/a' }, { headers: MAX_AGE })).status, 'Miss')
  assert.equal((await ask(cache, { path: '/b' })).status, 'Hit')
})

test('cache_control: only what GET and HEAD got is stored, and only without a body', async () => {
  const cache = rfc({ request_method: ['GET', 'POST'] })
  const upstream = { headers: MAX_AGE }
  assert.equal((await ask(cache, { method: 'POST', body: 'x' }, upstream)).status, 'Bypass')
  assert.equal((await ask(cache, { body: 'x' }, upstream)).status, 'Bypass')
  assert.equal(cache.responses.kept.size, 0)
})

test('answers to POST, where they are stored, are not told apart by bodies, as in Kong', async () => {
  const cache = opened({ request_method: ['POST'] })
  await ask(cache, { method: 'POST', body: 'x' })
  assert.equal((await ask(cache, { method: 'POST', body: 'y' })).status, 'Hit')
})

test('responses are dropped by the tags that the upstream gave them', async () => {
  const cache = opened()
  await ask(cache, { path: '/a' }, { headers: { 'Surrogate-Key': 'one two' } })
  await ask(cache, { path: '/b' }, { headers: { 'Cache-Tag': 'two, three' } })
  cache.responses.purge('tag:three')
  assert.equal((await ask(cache, { path: '/a' })).status, 'Hit')
  assert.equal((await ask(cache, { path: '/b' })).status, 'Miss')
  cache.responses.purge('tag:one')
  assert.equal((await ask(cache, { path: '/a' })).status, 'Miss')
})
