import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { fakeExchange, FakeDelivery, prepare } from '#pdk/testing'
import { loggly } from './plugin.ts'

test('a datagram is a syslog message with the token and tags, and the record as its text', () => {
  const delivery = new FakeDelivery()
  const config = { key: 'tok-en', tags: ['kong', 'a"]b'], server_errors_severity: 'err' }
  const state = prepare(loggly, config, { delivery })
  const exchange = fakeExchange({ response: { status: 502 } })
  exchange.totalLatencyMs = 1500
  loggly.log?.(exchange, state)
  const text = String(delivery.queues[0]!.entries[0])
  const head = `<11>1 2030-01-01T00:00:01.500Z ${hostname()} kong - - [tok-en@41058 tag="kong" tag="a\\"\\]b"] `
  assert.equal(text.slice(0, head.length), head)
  assert.equal(JSON.parse(text.slice(head.length)).response.status, 502)
})

test('what is less severe than the level is not sent', () => {
  const delivery = new FakeDelivery()
  const state = prepare(loggly, { key: 'k', log_level: 'err', successful_severity: 'debug' }, { delivery })
  loggly.log?.(fakeExchange({ response: { status: 200 } }), state)
  assert.deepEqual(delivery.queues[0]!.entries, [])
})

test('a configuration that can not be is refused with the field', () => {
  assert.throws(() => prepare(loggly, {}), { field: 'key' })
  for (const [field, value] of Object.entries({ host: 'a b', port: 'x', log_level: 'loud', timeout: 'x', tags: 7 }))
    assert.throws(() => prepare(loggly, { key: 'k', [field]: value }), { field })
})
