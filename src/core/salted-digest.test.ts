import assert from 'node:assert/strict'
import { test } from 'node:test'
import { saltedDigest } from './salted-digest.ts'

test('is SHA-1 over the password followed by the salt, as text or as bytes', () => {
  // RFC 3174 7.3, TEST1: 'abc'.
  assert.equal(saltedDigest('ab', 'c'), 'a9993e364706816aba3e25717850c26c9cd0d89d')
  assert.equal(saltedDigest(Buffer.from('ab'), 'c'), saltedDigest('ab', 'c'))
  assert.equal(saltedDigest('ü', ''), saltedDigest(Buffer.from([0xc3, 0xbc]), ''))
})
