import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64, parseToken } from './token.ts'

const isKnown = (algorithm: string) => algorithm === 'HS256'

test('gives back what a token was made of', () => {
  const claims = fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.parse(JSON.stringify(value)) as object)
  fc.assert(
    fc.property(claims, fc.uint8Array(), (given, signature) => {
      const header = { alg: 'HS256', typ: 'JWT' }
      const parts = [JSON.stringify(header), JSON.stringify(given), signature].map((part) =>
        Buffer.from(part as string).toString('base64url'),
      )
      const token = parseToken(parts.join('.'), isKnown)
      assert.ok(!('problem' in token))
      assert.deepEqual([token.header, token.claims, token.signature], [header, given, Buffer.from(signature)])
      assert.equal(token.signedText, `${parts[0]}.${parts[1]}`)
    }),
  )
})

test('whatever a client sends is a token or has a problem', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.base64String(),
    fc.stringMatching(/^[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$/),
  )
  fc.assert(
    fc.property(text, (sent) => {
      const token = parseToken(sent, isKnown)
      assert.ok('problem' in token || token.algorithm === 'HS256')
    }),
  )
})

test('decodes both alphabets, with padding and without', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const expected = Buffer.from(bytes)
      assert.deepEqual(decodeBase64(expected.toString('base64')), expected)
      assert.deepEqual(decodeBase64(expected.toString('base64url')), expected)
    }),
  )
  for (const text of ['a', 'a b', 'ab===', '-----BEGIN PUBLIC KEY-----', 'ab\n'])
    assert.equal(decodeBase64(text), null, text)
})
