import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, headersOf, prepare, type FakeExchangeOptions } from '#pdk/testing'
import { correlationId } from './plugin.ts'

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'

function run(config: object, request: FakeExchangeOptions = {}, state = prepare(correlationId, config)) {
  const exchange = fakeExchange(request)
  void correlationId.access!(exchange, state)
  correlationId.responseHeaders!(exchange, state)
  return { exchange, sent: headersOf(exchange.request.headers), received: headersOf(exchange.response.headers) }
}

test('gives the upstream a random id', () => {
  const { sent, received, exchange } = run({ generator: 'uuid' })
  assert.match(sent['kong-request-id'] as string, new RegExp(`^${UUID}$`))
  assert.deepEqual(received, {})
  assert.equal(exchange.shared.get('correlation_id'), sent['kong-request-id'])
})

test('counts behind one random number', () => {
  const state = prepare(correlationId, { generator: 'uuid#counter' })
  const ids = [1, 2, 3].map(() => run({}, {}, state).sent['kong-request-id'] as string)
  assert.match(ids[0]!, new RegExp(`^${UUID}#1$`))
  assert.deepEqual(
    ids.map((id) => id.split('#')),
    [1, 2, 3].map((count) => [ids[0]!.split('#')[0], String(count)]),
  )
})

test('says where and when the request came', () => {
  const { sent } = run({ generator: 'tracker', header_name: 'X-Track' }, { now: '2030-01-01T00:00:00.250Z' })
  assert.equal(sent['x-track'], `127.0.0.1-8000-${process.pid}-1-1-1893456000.250`)
})

test('keeps the id that the client gave, the first of several', () => {
  assert.deepEqual(run({}, { headers: { 'Kong-Request-ID': 'mine' } }).sent, { 'kong-request-id': 'mine' })
  const twice = [
    ['Kong-Request-ID', 'one'],
    ['Kong-Request-ID', 'two'],
  ] as const
  const { sent, received } = run({ echo_downstream: true }, { headers: twice })
  assert.deepEqual(sent['kong-request-id'], ['one', 'two'])
  assert.equal(received['kong-request-id'], 'one')
})

test('an empty id is none', () => {
  assert.match(
    run({ generator: 'uuid' }, { headers: { 'Kong-Request-ID': '' } }).sent['kong-request-id'] as string,
    new RegExp(UUID),
  )
})

test('tells the client the id when told to', () => {
  const { sent, received } = run({ generator: 'uuid', echo_downstream: true })
  assert.equal(received['kong-request-id'], sent['kong-request-id'])
})

test('a request that matched no route gets an id on its way back', () => {
  const state = prepare(correlationId, { generator: 'uuid', echo_downstream: true })
  const nothing = fakeExchange()
  correlationId.responseHeaders!(nothing, state)
  assert.match(nothing.response.headers.get('kong-request-id')!, new RegExp(`^${UUID}$`))
  const given = fakeExchange({ headers: { 'Kong-Request-ID': 'mine' } })
  correlationId.responseHeaders!(given, state)
  assert.equal(given.response.headers.get('kong-request-id'), 'mine')
})

test('a config with an unknown generator, or what is no header name, names the field', () => {
  assert.throws(() => prepare(correlationId, { generator: 'zz' }), { code: 'CONFIG_INVALID', field: 'generator' })
  assert.throws(() => prepare(correlationId, { header_name: 'a b' }), { code: 'CONFIG_INVALID', field: 'header_name' })
})
