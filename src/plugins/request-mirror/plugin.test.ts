import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { fakeExchange, FakeMetrics, prepare, type FakeBody, type FakeExchangeOptions } from '#pdk/testing'
import { FakeService } from '../authorization/testing.ts'
import { requestMirror } from './plugin.ts'

let shadow: FakeService
const open: (() => void)[] = []
before(async () => {
  shadow = await FakeService.start()
})
beforeEach(() => {
  shadow.asked.length = 0
  shadow.says = () => ({})
})
after(async () => {
  for (const close of open) close()
  await shadow.stop()
})

function setUp(config: object = {}) {
  const metrics = new FakeMetrics()
  const lines: string[] = []
  const note = (_: object, message: string) => void lines.push(message)
  const log = { error: note, warn: note, info: note, debug: note }
  const target = 'service' in config ? {} : { url: `http://127.0.0.1:${shadow.port}/base/` }
  const state = prepare(requestMirror, { ...target, ...config }, { metrics, log })
  open.push(() => requestMirror.close!(state))
  const fates = () =>
    Object.fromEntries(
      Object.entries(metrics.counts).map(([name, count]) => [name.replace('request-mirror ', ''), count]),
    )
  const ask = (options: FakeExchangeOptions = {}, place: string | null = null) => {
    const exchange = fakeExchange(options)
    exchange.chooser = {
      choose: () => false,
      repeat: () => false,
      locate: (name) =>
        name === 'there' && place !== null
          ? Promise.resolve({ origin: place, hostHeader: 'there.test', path: '/its' + exchange.upstream.path })
          : null,
    }
    assert.equal(requestMirror.access!(exchange, state), undefined)
    return exchange
  }
  /** Until so many copies have met their fate. */
  const settled = async (count: number) => {
    const deadline = Date.now() + 10_000
    while (Object.values(fates()).reduce((sum, one) => sum + one, 0) < count) {
      assert.ok(Date.now() < deadline, JSON.stringify(fates()))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return fates()
  }
  return { ask, settled, fates, metrics, lines, state }
}

test('a copy has the request, marked, without what is of this hop and without credentials', async () => {
  const { ask, settled, metrics } = setUp({
    set_headers: { 'X-Env': 'shadow' },
    remove_headers: ['Authorization', 'X-Key'],
  })
  const exchange = ask({
    method: 'PUT',
    path: '/orders/7?a=%201',
    clientIp: '10.0.0.1',
    body: 'the body',
    headers: [
      ['Host', 'shop.test'],
      ['Authorization', 'Bearer t'],
      ['x-key', 'k'],
      ['Cookie', 'a=1'],
      ['Connection', 'X-Hop, keep-alive'],
      ['X-Hop', 'h'],
      ['X-Env', 'prod'],
      ['X-Other', 'grün'],
      ['X-Forwarded-For', '1.2.3.4'],
    ],
  })
  assert.deepEqual(await settled(1), { sent: 1 })
  const { method, url, headers, text } = shadow.asked[0]!
  assert.deepEqual([method, url, text], ['PUT', '/base/orders/7?a=%201', 'the body'])
  assert.deepEqual(
    { ...headers, connection: undefined },
    {
      host: `127.0.0.1:${shadow.port}`,
      connection: undefined,
      'content-length': '8',
      cookie: 'a=1',
      'x-other': Buffer.from('grün').toString('latin1'),
      'x-forwarded-for': '10.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'shop.test',
      'x-meridian-mirror': exchange.id,
      'x-env': 'shadow',
    },
  )
  assert.equal(metrics.bytes['request-mirror sent'], 8)
})

test('a service is asked where it is now, with its path; one that is not there gets nothing', async () => {
  const { ask, settled } = setUp({ service: 'there' })
  ask({ path: '/x' }, `http://127.0.0.1:${shadow.port}`)
  ask({ path: '/x' })
  assert.deepEqual(await settled(2), { sent: 1, dropped_no_target: 1 })
  assert.deepEqual([shadow.asked[0]!.url, shadow.asked[0]!.headers['host']], ['/its/x', 'there.test'])
})

test('with preserve_host the shadow is asked for the host that the client asked for', async () => {
  const { ask, settled } = setUp({ preserve_host: true })
  ask({ headers: { Host: 'shop.test:80' } })
  await settled(1)
  assert.equal(shadow.asked[0]!.headers['host'], 'shop.test:80')
})

const PASSED: Readonly<Record<string, readonly [config: object, request: FakeExchangeOptions]>> = {
  'another method': [{ methods: ['GET'] }, { method: 'POST' }],
  'none of a hundred': [{ percent: 0 }, {}],
  'a copy': [{}, { headers: { 'X-Meridian-Mirror': 'x' } }],
  'an upgrade': [{}, { headers: { Upgrade: 'websocket' } }],
  'a call of gRPC': [{}, { headers: { 'Content-Type': 'application/grpc' } }],
}
for (const [name, [config, request]] of Object.entries(PASSED)) {
  test(`is not copied: ${name}`, async () => {
    const { ask, fates } = setUp(config)
    ask(request)
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.deepEqual([fates(), shadow.asked], [{}, []])
  })
}

test('about as many requests are copied as it says', () => {
  const { ask, fates } = setUp({ percent: 30, queue_size: 1, concurrency: 1 })
  let begun = 0
  for (let i = 0; i < 1000; i++) if (ask().recall('request-mirror') !== undefined) begun++
  const chosen = begun + (fates()['dropped_full'] ?? 0)
  assert.ok(Math.abs(chosen - 300) < 80, `${chosen} of 1000`)
})

test('a body that is too large, and one that does not come, are given up', async () => {
  const { ask, settled, state } = setUp({ max_body_bytes: 4, queue_size: 1, concurrency: 1 })
  ask({ method: 'POST', body: '12345' })
  const aborted = fakeExchange({ method: 'POST', body: '123' })
  ;(aborted.request.body as FakeBody).isAborted = true
  void requestMirror.access!(aborted, state)
  await settled(2)
  const ended = fakeExchange({ method: 'POST', body: '123' })
  ended.request.body.copy = () => undefined
  void requestMirror.access!(ended, state)
  requestMirror.log!(ended, state)
  // The room of each was given back.
  ask({ method: 'POST', body: '1234' })
  assert.deepEqual(await settled(4), { dropped_size: 1, dropped_incomplete: 2, sent: 1 })
})

test('a shadow that does not answer holds up nothing, and what it can not take is dropped', async () => {
  shadow.says = () => ({ isSilent: true })
  const { ask, settled, lines } = setUp({ queue_size: 3, concurrency: 2, timeout: 300 })
  for (let i = 0; i < 20; i++) ask()
  assert.deepEqual(await settled(20), { dropped_full: 15, failed: 5 })
  assert.deepEqual(lines, ['copies of requests do not arrive at the shadow'])
  shadow.says = () => ({ status: 500 })
  ask()
  assert.equal((await settled(21))['sent'], 1)
})

test('a shadow that is not there', async () => {
  const { ask, settled } = setUp({ url: 'http://127.0.0.1:1/' })
  ask()
  assert.deepEqual(await settled(1), { failed: 1 })
})

const URL_OF = { url: 'http://shadow.test' }
const MALFORMED: readonly (readonly [config: object, field: string])[] = [
  [{}, 'url'],
  [{ ...URL_OF, service: 's' }, 'url'],
  [{ url: 'shadow.test' }, 'url'],
  [{ url: 'ftp://shadow.test' }, 'url'],
  [{ url: 'http://u:p@shadow.test' }, 'url'],
  [{ url: 'http://shadow.test/?a=1' }, 'url'],
  [{ url: 'http://shadow.test/#a' }, 'url'],
  [{ ...URL_OF, percent: 101 }, 'percent'],
  [{ ...URL_OF, percent: '1%' }, 'percent'],
  [{ ...URL_OF, mark_header: 'a b' }, 'mark_header'],
  [{ ...URL_OF, max_body_bytes: -1 }, 'max_body_bytes'],
  [{ ...URL_OF, queue_size: 0 }, 'queue_size'],
  [{ ...URL_OF, concurrency: 0 }, 'concurrency'],
  [{ ...URL_OF, timeout: 0 }, 'timeout'],
  [{ ...URL_OF, retries: 1 }, 'retries'],
]
for (const [config, field] of MALFORMED) {
  test(`a configuration is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(
      () => prepare(requestMirror, { service: undefined, ...config }),
      (error: { code?: string; field?: string }) => error.code === 'CONFIG_INVALID' && error.field === field,
    )
  })
}
