import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, FakeDelivery, prepare } from '#pdk/testing'
import { fileLog } from './plugin.ts'

test('each record is a line of the file', () => {
  const delivery = new FakeDelivery()
  const state = prepare(fileLog, { path: '/tmp/a.log' }, { delivery })
  fileLog.log?.(fakeExchange({ path: '/a?x=1', response: { status: 200 } }), state)
  const [file] = delivery.files
  assert.equal(file!.path, '/tmp/a.log')
  assert.ok(file!.lines[0]!.endsWith('}\n'))
  assert.equal(JSON.parse(file!.lines[0]!).request.uri, '/a?x=1')
  fileLog.close?.(state)
})

test('a configuration that can not be is refused with the field', () => {
  const wrong: readonly (readonly [config: object, field: string])[] = [
    [{ path: null }, 'path'],
    [{ path: '/tmp/*' }, 'path'],
    [{ path: '' }, 'path'],
    [{ reopen: 'yes' }, 'reopen'],
    [{ custom_fields: { a: '$(nothing)' } }, 'custom_fields'],
    [{ custom_fields: { '': 'x' } }, 'custom_fields'],
    [{ custom_fields_by_lua: { a: 'return 1' } }, 'custom_fields_by_lua'],
  ]
  for (const [config, field] of wrong)
    assert.throws(
      () => prepare(fileLog, { path: '/tmp/a.log', ...config }),
      { code: 'CONFIG_INVALID', field },
      JSON.stringify(config),
    )
})
