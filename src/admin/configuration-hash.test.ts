import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createConfigurationHash, EMPTY_HASH, hashConfiguration } from './configuration-hash.ts'

test('a gateway without a configuration has the hash of zeros, and later that of what was loaded', () => {
  const hash = createConfigurationHash()
  assert.equal(hash.current(), EMPTY_HASH)
  hash.set(hashConfiguration('services: []'))
  assert.match(hash.current(), /^[0-9a-f]{32}$/)
  assert.notEqual(hash.current(), EMPTY_HASH)
})

test('equal texts have equal hashes, and others do not', () => {
  assert.equal(hashConfiguration('a'), hashConfiguration('a'))
  assert.notEqual(hashConfiguration('a'), hashConfiguration('b'))
})
