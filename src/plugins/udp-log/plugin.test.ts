import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, FakeDelivery, prepare } from '#pdk/testing'
import { udpLog } from './plugin.ts'

test('an entry is a datagram, and none may be larger than one can be', () => {
  const delivery = new FakeDelivery()
  const state = prepare(udpLog, { host: '127.0.0.1', port: 9 }, { delivery })
  udpLog.log?.(fakeExchange({ path: '/a?x=1', response: { status: 200 } }), state)
  const { entries, options } = delivery.queues[0]!
  assert.equal(JSON.parse(String(entries[0])).response.status, 200)
  assert.equal(options.largestBytes, 65_507)
  udpLog.close?.(state)
})

test('a configuration that can not be is refused with the field', () => {
  const wrong: readonly (readonly [config: object, field: string])[] = [
    [{ host: null }, 'host'],
    [{ port: null }, 'port'],
    [{ port: -1 }, 'port'],
    [{ timeout: 'x' }, 'timeout'],
    [{ custom_fields: { a: '$(nothing)' } }, 'custom_fields'],
    [{ custom_fields: { '': 'x' } }, 'custom_fields'],
    [{ custom_fields_by_lua: { a: 'return 1' } }, 'custom_fields_by_lua'],
  ]
  for (const [config, field] of wrong)
    assert.throws(
      () => prepare(udpLog, { host: '127.0.0.1', port: 9, ...config }),
      { code: 'CONFIG_INVALID', field },
      JSON.stringify(config),
    )
})
