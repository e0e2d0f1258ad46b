import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { completeConfig, FakeBody, fakeExchange, FakeMetrics, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { fakeServiceOfFile, type FakeService } from '../authorization/testing.ts'
import { azureFunctions } from './plugin.ts'

const { service, open } = fakeServiceOfFile(() => ({ body: 'said' }))

function instance(config: object = {}) {
  const metrics = new FakeMetrics()
  const logged: string[] = []
  const log = (_fields: object, message: string) => void logged.push(message)
  const place = { appname: '127.0.0', hostdomain: `1:${service.port}`, https: false }
  const state = prepare(
    azureFunctions,
    { functionname: 'f', ...place, timeout: 500, ...config },
    { metrics, log: { error: log, warn: log, info: log, debug: log } },
  )
  open.push(() => azureFunctions.close!(state))
  const go = async (options: FakeExchangeOptions = {}, path = '') => {
    const exchange = fakeExchange(options)
    exchange.upstream.path = path
    return (await azureFunctions.access!(exchange, state)) as Exit
  }
  return Object.assign(go, { metrics, logged })
}

test('the function gets the request with its keys, and the client what the function says', async () => {
  service.says = () => ({ status: 201, headers: { 'X-A': '1', 'Keep-Alive': 'timeout=5' }, body: 'made' })
  const go = instance({ apikey: 'key', clientid: 'client' })
  const headers = { 'Content-Type': 'text/plain', Authorization: 'secret', Host: 'gw.test' }
  const exit = await go({ method: 'PUT', path: '/x?a=1&b=%20', headers, body: 'text' })
  assert.deepEqual([exit.status, exit.body?.toString(), exit.stored?.get('x-a')], [201, 'made', '1'])
  assert.equal(exit.stored?.get('keep-alive'), null)
  const [asked] = service.asked
  assert.deepEqual([asked!.method, asked!.url, asked!.text], ['PUT', '/api/f?a=1&b=%20', 'text'])
  assert.deepEqual(
    [asked!.headers['x-functions-key'], asked!.headers['x-functions-clientid'], asked!.headers['content-type']],
    ['key', 'client', 'text/plain'],
  )
  assert.equal(asked!.headers.authorization, undefined)
  assert.deepEqual(go.metrics.calls, ['azure-functions call answered'])
  await instance()()
  assert.equal(service.asked[1]!.headers['x-functions-key'], undefined)
})

test('where it is: prefix, name, and what is left of the path', async () => {
  const cases: [object, string, string][] = [
    [{}, '', '/api/f'],
    [{}, '/', '/api/f'],
    [{}, '/7/items', '/api/f/7/items'],
    [{}, '//7', '/api/f/7'],
    [{ routeprefix: '/a/b/', functionname: '/g/' }, '/7', '/a/b/g/7'],
    [{ routeprefix: '/' }, '/7', '/f/7'],
    [{ routeprefix: null }, '/7', '/f/7'],
    [{ functionname: 'a b' }, '', '/api/a%20b'],
    [{}, '/a b?c#d\r\nX: y', '/api/f/a%20b?c%23d%0D%0AX:%20y'],
  ]
  for (const [config, path, url] of cases) {
    service.asked.length = 0
    await instance(config)({}, path)
    assert.equal(service.asked[0]?.url, url, JSON.stringify([config, path]))
  }
})

test('no path leads out of the function', async () => {
  for (const path of ['/../g', '/x/../../g', '/%2e%2e/g', '/.%2E/g', '/..\\g'])
    for (const exit of [await instance()({}, path)])
      assert.equal(exit.status === 400 || service.asked.at(-1)!.url.startsWith('/api/f/'), true, path)
})

test('whatever is wrong with the service is said once, counted, and kept from the client', async () => {
  const cases: [string, object, () => ReturnType<FakeService['says']>][] = [
    ['silence', {}, () => ({ isSilent: true })],
    ['nobody', { hostdomain: '1:1' }, () => ({})],
    ['no TLS', { https: true }, () => ({})],
  ]
  for (const [name, config, says] of cases) {
    service.says = says
    const go = instance(config)
    for (const exit of [await go(), await go()])
      assert.deepEqual([exit.status, exit.body], [500, '{"message":"An unexpected error occurred"}'], name)
    assert.deepEqual(go.metrics.calls, Array(2).fill('azure-functions call failed'), name)
    assert.deepEqual(go.logged, ['a function of Azure cannot be called'], name)
  }
})

test('what a function answers is its own, also a failure', async () => {
  service.says = () => ({ status: 503, headers: { 'Retry-After': '7' }, body: 'busy' })
  const exit = await instance()()
  assert.deepEqual([exit.status, exit.body?.toString(), exit.stored?.get('retry-after')], [503, 'busy', '7'])
})

test('a client that leaves calls nothing', async () => {
  const exchange = fakeExchange({ method: 'POST', body: 'x' })
  ;(exchange.request.body as FakeBody).isAborted = true
  const state = prepare(azureFunctions, { functionname: 'f', appname: 'a' })
  open.push(() => azureFunctions.close!(state))
  assert.equal(((await azureFunctions.access!(exchange, state)) as Exit).status, 400)
})

test('what can not be called is refused by name', () => {
  const good = { functionname: 'f', appname: 'app' }
  const cases: [object, string][] = [
    [{ ...good, functionname: null }, 'functionname'],
    [{ ...good, appname: null }, 'appname'],
    [{ ...good, appname: 'a b' }, 'appname'],
    [{ ...good, appname: 'http://a' }, 'appname'],
    [{ ...good, hostdomain: 'x:port' }, 'hostdomain'],
    [{ ...good, hostdomain: 'a/b' }, 'hostdomain'],
    [{ ...good, functionname: 'f?code=1' }, 'functionname'],
    [{ ...good, routeprefix: 'a#b' }, 'routeprefix'],
    [{ ...good, timeout: 'long' }, 'timeout'],
  ]
  for (const [config, field] of cases)
    assert.throws(
      () => completeConfig(azureFunctions, config),
      { code: 'CONFIG_INVALID', field },
      JSON.stringify(config),
    )
})
