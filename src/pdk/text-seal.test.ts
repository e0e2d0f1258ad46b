import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TextSeal } from './text-seal.ts'

test('gives back any text, and never the same seal twice', () => {
  const seal = new TextSeal('secret', 'p')
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      assert.equal(seal.open(seal.seal(text)), text)
      assert.notEqual(seal.seal(text), seal.seal(text))
    }),
    { numRuns: 50 },
  )
})

test('opens nothing that was changed in any bit, cut or lengthened', () => {
  const seal = new TextSeal('secret', 'p')
  const sealed = Buffer.from(seal.seal('alice'), 'base64url')
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Buffer.from(sealed)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    assert.equal(seal.open(changed.toString('base64url')), null, `bit ${bit}`)
  }
  for (let length = 0; length < sealed.length; length++)
    assert.equal(seal.open(sealed.subarray(0, length).toString('base64url')), null)
  assert.equal(seal.open(`${sealed.toString('base64url')}AAAA`), null)
})

test('opens nothing of another secret, nothing for another purpose, and no garbage', () => {
  const sealed = new TextSeal('secret', 'session').seal('alice')
  assert.equal(new TextSeal('other', 'session').open(sealed), null)
  assert.equal(new TextSeal('secret', 'remember').open(sealed), null)
  fc.assert(fc.property(fc.string(), (text) => assert.equal(new TextSeal('secret', 'session').open(text), null)))
})

test('a new secret on the first line leaves what the old one sealed', () => {
  const old = new TextSeal('old', 'p').seal('alice')
  const both = new TextSeal('new\n old \n', 'p')
  assert.equal(both.open(old), 'alice')
  assert.equal(new TextSeal('old', 'p').open(both.seal('alice')), null)
  assert.equal(new TextSeal('new', 'p').open(both.seal('alice')), 'alice')
})
