import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { BARE_NODE, completeConfig, fakeExchange, FakeMetrics, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { fakeServiceOfFile, type FakeService } from '../authorization/testing.ts'
import { awsLambda } from './plugin.ts'

const { service, open } = fakeServiceOfFile(() => ({ body: {} }))

function instance(config: object = {}) {
  const metrics = new FakeMetrics()
  const logged: string[] = []
  const log = (_fields: object, message: string) => void logged.push(message)
  const place = { host: '127.0.0.1', port: service.port, disable_https: true, aws_region: 'us-east-1' }
  const keys = { aws_key: 'id', aws_secret: 'secret' }
  const state = prepare(
    awsLambda,
    { function_name: 'f', ...place, ...keys, timeout: 500, ...config },
    { metrics, log: { error: log, warn: log, info: log, debug: log } },
  )
  open.push(() => awsLambda.close!(state))
  const go = async (options: FakeExchangeOptions = {}) =>
    (await awsLambda.access!(fakeExchange(options), state)) as Exit
  return Object.assign(go, { metrics, logged })
}

test('answers go to the client as they are, but for what is about the connection', async () => {
  service.says = () => ({
    status: 200,
    headers: { 'X-A': '1', Connection: 'x-own', 'X-Own': '2', 'Content-Type': 'application/json' },
    body: '{"list":[],"text":"[] \\" [ ]","deep":{"list":[ ]},"big":12345678901234567890}',
  })
  const exit = await instance({ empty_arrays_mode: 'correct' })()
  assert.equal(exit.body?.toString(), '{"list":[],"text":"[] \\" [ ]","deep":{"list":[ ]},"big":12345678901234567890}')
  assert.deepEqual(Object.keys(exit.stored!.toObject()).toSorted(), ['content-type', 'date', 'x-a'])
  const legacy = await instance()()
  assert.equal(legacy.body?.toString(), '{"list":{},"text":"[] \\" [ ]","deep":{"list":{}},"big":12345678901234567890}')
})

test('whatever is wrong with the service is said once, counted, and kept from the client', async () => {
  const cases: [string, Parameters<typeof instance>[0], () => ReturnType<FakeService['says']>, string][] = [
    ['a refusal', {}, () => ({ status: 403, body: { message: 'secret' } }), 'refused'],
    ['an error', {}, () => ({ status: 500, body: 'secret' }), 'refused'],
    ['silence', {}, () => ({ isSilent: true }), 'failed'],
    ['too much', {}, () => ({ body: 'x'.repeat(9 * 1024 * 1024) }), 'failed'],
    ['nobody', { port: 1 }, () => ({}), 'failed'],
  ]
  for (const [name, config, says, outcome] of cases) {
    service.says = says
    const go = instance(config)
    for (const exit of [await go(), await go()])
      assert.deepEqual([exit.status, exit.body], [500, '{"message":"An unexpected error occurred"}'], name)
    assert.deepEqual(go.metrics.calls, Array(2).fill(`aws-lambda invoke ${outcome}`), name)
    assert.deepEqual(go.logged, ['a function of AWS cannot be invoked'], name)
  }
  service.says = () => ({ status: 500 })
  const go = instance()
  await go()
  service.says = () => ({ body: {} })
  await go()
  assert.deepEqual(go.logged, ['a function of AWS cannot be invoked', 'a function of AWS can be invoked again'])
})

test('bodies over what functions take are left out or refused', async () => {
  const body = 'x'.repeat(6 * 1024 * 1024 + 1)
  const go = instance({ forward_request_body: true })
  assert.equal((await go({ method: 'POST', body, headers: { 'Content-Type': 'text/plain' } })).status, 200)
  assert.deepEqual(JSON.parse(service.asked[0]!.text), { request_body_args: {} })
  assert.deepEqual(go.logged, ['a body is too large for a function and is left out'])
  const strict = instance({ forward_request_body: true, skip_large_bodies: false })
  assert.equal((await strict({ method: 'POST', body })).status, 413)
  const blind = instance({ forward_request_uri: true })
  assert.equal((await blind({ method: 'POST', body })).status, 200)
  assert.equal(service.asked.length, 2)
})

test('what can not be invoked is refused by name', () => {
  const good = { function_name: 'f', aws_region: 'us-east-1' }
  const cases: [object, string][] = [
    [{ ...good, function_name: null }, 'function_name'],
    [{ ...good, aws_region: null }, 'aws_region'],
    [{ ...good, aws_key: 'id' }, '0'],
    [{ ...good, proxy_url: 'https://127.0.0.1' }, '0'],
    [{ ...good, invocation_type: 'Later' }, 'invocation_type'],
    [{ ...good, unhandled_status: 99 }, 'unhandled_status'],
    [{ ...good, port: 70000 }, 'port'],
  ]
  for (const [config, field] of cases)
    assert.throws(() => completeConfig(awsLambda, config), { code: 'CONFIG_INVALID', field }, JSON.stringify(config))
  const told = { ...BARE_NODE, environment: { AWS_DEFAULT_REGION: 'eu-central-1' } }
  assert.equal(completeConfig(awsLambda, { function_name: 'f' }, told).aws_region, null)
})
