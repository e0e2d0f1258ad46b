import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeExchange, prepare } from 'meridian/pdk/testing'
import sunset from './sunset.ts'

const state = prepare(sunset, { at: Date.parse('2030-01-01T00:00:00Z') / 1000 })

test('serves until the sunset, refuses from it on', () => {
  assert.equal(sunset.access?.(fakeExchange({ now: '2029-12-31T23:59:59.999Z' }), state), undefined)
  assert.partialDeepStrictEqual(sunset.access?.(fakeExchange({ now: '2030-01-01T00:00:00Z' }), state), { status: 410 })
})

test('a configuration without a date names the field', () => {
  assert.throws(() => prepare(sunset, {}), { code: 'CONFIG_INVALID', field: 'at' })
})
