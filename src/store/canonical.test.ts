import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalJson, frozenCopy } from './canonical.ts'

test('sorts keys at every depth and leaves undefined members out', () => {
  assert.equal(
    canonicalJson({ b: [{ d: 1, c: undefined, a: null }], a: 'x', 10: 1, 9: 2 }),
    '{"10":1,"9":2,"a":"x","b":[{"a":null,"d":1}]}',
  )
})

test('is the same for equal values, however they were made, and parses to what JSON makes of them', () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, member]) => [key, shuffled(member)]),
    )
  }
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value)
      assert.equal(canonicalJson(shuffled(value)), text)
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
      assert.equal(canonicalJson(JSON.parse(text)), text)
    }),
  )
})

test('refuses what JSON can not say, where JSON.stringify would change it silently', () => {
  for (const value of [Number.NaN, Infinity, 1n, () => 1, Symbol('x')]) {
    assert.throws(() => canonicalJson({ value }), TypeError)
    assert.throws(() => canonicalJson([{ deep: [value] }]), TypeError)
  }
  assert.throws(() => canonicalJson(undefined), TypeError)
})

test('a frozen copy can not be changed and does not follow its original', () => {
  const original = { list: [{ name: 'a' }] }
  const copy = frozenCopy(original)
  original.list[0] = { name: 'b' }
  assert.deepEqual(copy, { list: [{ name: 'a' }] })
  assert.throws(() => {
    ;(copy.list[0] as { name: string }).name = 'c'
  }, TypeError)
})
