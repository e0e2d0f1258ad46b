import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeJsonMembers, parseJsonMembers, rawJson, valueOfJson } from './json-members.ts'

const members = (text: string) => parseJsonMembers(Buffer.from(text))

test('splits an object into its members without touching their values', () => {
  const parsed = members(' { "a" : 12345678901234567890 ,\n"b": [1, {"c": "}\\"]"}] , "é":1.0e3}\n')!
  assert.deepEqual([...parsed.keys()], ['a', 'b', 'é'])
  parsed.delete('b')
  parsed.set('n', rawJson('ü"'))
  assert.equal(encodeJsonMembers(parsed).toString(), '{"a":12345678901234567890,"é":1.0e3,"n":"ü\\""}')
})

test('a name is the same however it is escaped', () => {
  assert.deepEqual([...members('{"\\u00e9\\n":1}')!.keys()], ['é\n'])
})

test('the last value of a repeated name counts', () => {
  assert.equal(encodeJsonMembers(members('{"a":1,"b":2,"a":3}')!).toString(), '{"b":2,"a":3}')
})

test('what is not an object has no members', () => {
  for (const text of ['', '[]', '1', 'null', '"a"', '{bad', '{"a":1}x', '{"a":1,}'])
    assert.equal(members(text), null, text)
  assert.equal(members('{}')!.size, 0)
  assert.equal(members(' { } ')!.size, 0)
})

test('names of every object do not collide with what objects inherit', () => {
  assert.deepEqual(
    [...members('{"__proto__":1,"constructor":2}')!],
    [
      ['__proto__', '1'],
      ['constructor', '2'],
    ],
  )
})

test('agrees with JSON.parse for any object', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1, '\t'), (object, indent) => {
      const parsed = members(JSON.stringify(object, null, indent))!
      const expected = JSON.parse(JSON.stringify(object)) as Record<string, unknown>
      assert.deepEqual(Object.fromEntries([...parsed].map(([name, raw]) => [name, valueOfJson(raw)])), { ...expected })
      assert.deepEqual(JSON.parse(encodeJsonMembers(parsed).toString()), expected)
    }),
  )
})
