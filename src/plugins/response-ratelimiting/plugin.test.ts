import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock, FakeCounters, FakeRedis, fakeExchange, headersOf, prepare } from '#pdk/testing'
import { responseRatelimiting } from './plugin.ts'

const START = '2030-05-17T10:20:30.400Z'
const SMS = { limits: { sms: { minute: 2 } } }

type Texts = ReturnType<typeof headersOf>

class Limited {
  readonly clock = new FakeClock(START)
  readonly counters = new FakeCounters(this.clock)
  readonly clusterCounters = new FakeCounters(this.clock)
  readonly redis = new FakeRedis(this.clock)
  readonly state

  constructor(config: object) {
    const { counters, clusterCounters, redis } = this
    this.state = prepare(responseRatelimiting, config, { counters, clusterCounters, redis })
  }

  /** One request whose answer says that it used so much. */
  async ask(used: string | readonly string[] | null, options: { readonly clientIp?: string } = {}) {
    const exchange = fakeExchange({
      ...options,
      now: this.clock.nowMs,
      response: { status: 200, headers: used === null ? {} : { 'X-Kong-Limit': used } },
    })
    const exit = (await responseRatelimiting.access!(exchange, this.state)) ?? null
    if (exit !== null) return { exit, status: exit.status, headers: {} as Texts, upstream: {} as Texts, body: '' }
    responseRatelimiting.responseHeaders!(exchange, this.state)
    const transform = responseRatelimiting.responseBody!(exchange, this.state)
    responseRatelimiting.log!(exchange, this.state)
    await new Promise(setImmediate)
    return {
      exit,
      status: exchange.response.status,
      headers: headersOf(exchange.response.headers),
      upstream: headersOf(exchange.request.headers),
      body: transform === null ? 'as it came' : String(transform.chunk(Buffer.from('x')) ?? transform.end() ?? ''),
    }
  }
}

test('counts what answers say, tells the upstream what is left before and the client what is left then', async () => {
  const limited = new Limited(SMS)
  const first = await limited.ask('sms=1')
  assert.deepEqual(first.upstream, { 'x-ratelimit-remaining-sms': '2' })
  assert.deepEqual(first.headers, { 'x-ratelimit-limit-sms-minute': '2', 'x-ratelimit-remaining-sms-minute': '1' })
  assert.equal((await limited.ask('sms=1')).headers['x-ratelimit-remaining-sms-minute'], '0')
  const third = await limited.ask('sms=1')
  assert.deepEqual([third.status, third.body, third.upstream['x-ratelimit-remaining-sms']], [429, '', '0'])
  assert.deepEqual([(await limited.ask(null)).status, (await limited.ask(null)).body], [200, 'as it came'])
  limited.clock.advance(60_000)
  assert.equal((await limited.ask('sms=1')).status, 200)
})

test('an answer may use more than is left; only the next one is refused', async () => {
  const limited = new Limited(SMS)
  assert.equal((await limited.ask('sms=5')).status, 200)
  assert.equal((await limited.ask('sms=1')).status, 429)
})

test('reads lists, several fields and spaces, and leaves out what is no amount of a limit', async () => {
  const limited = new Limited({ limits: { a: { hour: 10 }, b: { hour: 10, day: 20 } } })
  await limited.ask(['a=1, b = 2', 'b=3'])
  await limited.ask('a=x, a, c=1, b=-4, a=1=1, b=1e9')
  const { headers, upstream } = await limited.ask(null)
  assert.deepEqual([upstream['x-ratelimit-remaining-a'], upstream['x-ratelimit-remaining-b']], ['9', '7'])
  assert.equal(headers['x-ratelimit-remaining-b-day'], '17')
})

test('block_on_first_violation refuses before the upstream is asked, naming the limit', async () => {
  const limited = new Limited({ limits: { a: { minute: 1 }, b: { minute: 5 } }, block_on_first_violation: true })
  assert.equal((await limited.ask('a=1')).status, 200)
  const blocked = await limited.ask('b=1')
  assert.deepEqual([blocked.exit?.status, blocked.exit?.message], [429, "API rate limit exceeded for 'a'"])
})

test('hides the headers from clients, and its own header always', async () => {
  const limited = new Limited({ ...SMS, hide_client_headers: true })
  const { headers, upstream } = await limited.ask('sms=1')
  assert.deepEqual([headers, upstream], [{}, { 'x-ratelimit-remaining-sms': '2' }])
})

test('counts by address apart', async () => {
  const limited = new Limited({ limits: { sms: { minute: 1 } }, limit_by: 'ip' })
  await limited.ask('sms=1', { clientIp: '10.0.0.1' })
  assert.equal((await limited.ask('sms=1', { clientIp: '10.0.0.1' })).status, 429)
  assert.equal((await limited.ask('sms=1', { clientIp: '10.0.0.2' })).status, 200)
})

test('policy cluster counts over all nodes', async () => {
  const limited = new Limited({ ...SMS, policy: 'cluster' })
  await limited.ask('sms=2')
  assert.deepEqual([limited.counters.keys.length, limited.clusterCounters.keys.length], [0, 1])
  assert.equal((await limited.ask('sms=1')).status, 429)
})

const IN_REDIS = { ...SMS, policy: 'redis', redis: { host: 'limits' } }

test('policy redis reads before and adds afterwards; what Redis is not told counts in the node', async () => {
  const limited = new Limited(IN_REDIS)
  await limited.ask('sms=1')
  assert.equal((await limited.ask('sms=1')).headers['x-ratelimit-remaining-sms-minute'], '0')
  assert.equal((await limited.ask('sms=1')).status, 429)
  limited.redis.isUp = false
  assert.equal((await limited.ask('sms=2')).status, 200)
  assert.equal((await limited.ask('sms=1')).status, 429, 'alone, too')
  responseRatelimiting.close!(limited.state)
  assert.deepEqual(limited.redis.open, [])
})

test('without Redis and fault_tolerant the request fails as in Kong', async () => {
  const limited = new Limited({ ...IN_REDIS, fault_tolerant: false })
  for (const silence of ['isUp', 'isSilent'] as const) {
    limited.redis[silence] = silence === 'isSilent'
    const { exit } = await limited.ask('sms=1')
    assert.deepEqual([exit?.status, exit?.message], [500, 'An unexpected error occurred'])
    limited.redis.isUp = true
  }
})

test('names that can not stand in headers are refused where they are written', () => {
  assert.throws(() => prepare(responseRatelimiting, { limits: { 'a b': { minute: 1 } } }), { field: 'limits' })
  assert.throws(() => prepare(responseRatelimiting, { ...SMS, header_name: 'a:b' }), { field: 'header_name' })
  assert.throws(() => prepare(responseRatelimiting, { limits: { a: {} } }))
  assert.throws(() => prepare(responseRatelimiting, { ...SMS, policy: 'cluster' }), { field: 'policy' })
})
