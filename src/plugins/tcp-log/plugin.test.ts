import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, FakeDelivery, prepare } from '#pdk/testing'
import { tcpLog } from './plugin.ts'

test('an entry is a line', () => {
  const delivery = new FakeDelivery()
  const state = prepare(tcpLog, { host: '127.0.0.1', port: 9 }, { delivery })
  tcpLog.log?.(fakeExchange({ path: '/a?x=1', response: { status: 200 } }), state)
  const [line] = delivery.queues[0]!.entries as string[]
  assert.ok(line!.endsWith('}\n'))
  assert.equal(JSON.parse(line!).response.status, 200)
  tcpLog.close?.(state)
})

test('a configuration that can not be is refused with the field', () => {
  const wrong: readonly (readonly [config: object, field: string])[] = [
    [{ host: null }, 'host'],
    [{ host: 'a b' }, 'host'],
    [{ port: 70_000 }, 'port'],
    [{ tls: 'yes' }, 'tls'],
    [{ custom_fields: { a: '$(nothing)' } }, 'custom_fields'],
    [{ custom_fields: { '': 'x' } }, 'custom_fields'],
    [{ custom_fields_by_lua: { a: 'return 1' } }, 'custom_fields_by_lua'],
  ]
  for (const [config, field] of wrong)
    assert.throws(
      () => prepare(tcpLog, { host: '127.0.0.1', port: 9, ...config }),
      { code: 'CONFIG_INVALID', field },
      JSON.stringify(config),
    )
})
