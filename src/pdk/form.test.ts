import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addArg, decodeArg, encodeArg, encodeArgs, findArg, parseArgs, removeArg, SEVERAL, type Args } from './form.ts'

test('reads names, values, names without value and repetitions', () => {
  assert.deepEqual(
    [...parseArgs('a=1&b&a=2&c=')],
    [
      ['a', ['1', '2']],
      ['b', [true]],
      ['c', ['']],
    ],
  )
  assert.deepEqual([...parseArgs(null)], [])
  assert.deepEqual([...parseArgs('')], [])
})

test('drops arguments with an empty name, as Kong does', () => {
  assert.deepEqual([...parseArgs('=1&&&=&a=1&')], [['a', ['1']]])
})

test('decodes escapes and plus, and leaves alone what is no escape', () => {
  assert.equal(decodeArg('a%20b+c%2Fd'), 'a b c/d')
  assert.equal(decodeArg('100%&%zz%4'), '100%&%zz%4')
  assert.deepEqual([...parseArgs('a%3Db=c%26d')], [['a=b', ['c&d']]])
})

test('encodes everything but unreserved characters', () => {
  assert.equal(encodeArg("a b/?&=+%é'()*!~-._"), "a%20b%2F%3F%26%3D%2B%25%E9'()*!~-._")
})

test('encodes in the order given, or by name', () => {
  const args = parseArgs('b=1&a&b=2')
  assert.equal(encodeArgs(args), 'b=1&b=2&a')
  assert.equal(encodeArgs(args, 'by name'), 'a&b=1&b=2')
})

test('finds one argument, however its name is written', () => {
  assert.equal(findArg('a=1&apikey=k&b', 'apikey'), 'k')
  assert.equal(findArg('a=1&api%6bey=k%20k', 'apikey'), 'k k')
  assert.equal(findArg('apikey', 'apikey'), true)
  assert.equal(findArg('apikey=', 'apikey'), '')
  assert.equal(findArg('xapikey=1&apikeyx=2&apike=3', 'apikey'), null)
  assert.equal(findArg('apikey=1&apikey=2', 'apikey'), SEVERAL)
  assert.equal(findArg(null, 'apikey'), null)
})

test('removes one argument and leaves the others as they came', () => {
  assert.equal(removeArg('b=%7e&apikey=k&a=+', 'apikey'), 'b=%7e&a=+')
  assert.equal(removeArg('apikey=1&api%6Bey=2', 'apikey'), null)
  assert.equal(removeArg('a=1', 'apikey'), 'a=1')
  assert.equal(removeArg(null, 'apikey'), null)
})

const byteText = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) })
const pair = fc.tuple(
  byteText.filter((name) => name !== ''),
  fc.oneof(fc.constant(true as const), byteText),
)

test('what is encoded is read back, for any bytes', () => {
  fc.assert(
    fc.property(fc.array(pair), (pairs) => {
      const args: Args = new Map()
      for (const [name, value] of pairs) addArg(args, name, value)
      assert.deepEqual([...parseArgs(encodeArgs(args))], [...args])
    }),
  )
})

test('finding one argument agrees with reading all of them', () => {
  const query = fc.string({ unit: fc.constantFrom('a', 'b', '=', '&', '%61', '+', '%') })
  fc.assert(
    fc.property(query, fc.constantFrom('a', 'b', 'ab', 'a b', '%'), (text, name) => {
      const values = parseArgs(text).get(name)
      const found = findArg(text, name)
      assert.equal(found, values === undefined ? null : values.length > 1 ? SEVERAL : values[0])
      const left = parseArgs(text)
      left.delete(name)
      assert.deepEqual([...parseArgs(removeArg(text, name))], [...left])
    }),
  )
})
