import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addPurge, addressName, EVERYTHING, PREFIX_SEGMENTS, prefixName, tagName, withPrefixes } from './cache-names.ts'

const prefixesOf = (address: string) => withPrefixes([addressName(address)]).slice(1)

test('an address has every prefix of its path in whole segments, for its host and for any', () => {
  assert.deepEqual(prefixesOf('http://Shop.test:8000/a/b.html?x=/y/z'), [
    'prefix:*',
    'prefix:shop.test',
    'prefix:*/a',
    'prefix:shop.test/a',
    'prefix:*/a/b.html',
    'prefix:shop.test/a/b.html',
  ])
  assert.deepEqual(prefixesOf('https://[::1]:8443/'), ['prefix:*', 'prefix:[::1]'])
  assert.deepEqual(prefixesOf('http://h:80/a/').slice(2), ['prefix:*/a', 'prefix:h/a'])
})

test('a purge by a prefix names what the addresses have', () => {
  const names = new Set(prefixesOf('http://shop.test:80/a/b/c'))
  for (const path of ['/', '/a', '/a/', '/a/b', '/a/b/c']) {
    assert.ok(names.has(prefixName(null, path)), path)
    assert.ok(names.has(prefixName('SHOP.test', path)), path)
  }
  for (const path of ['/a/b/c/d', '/a/bc', '/b']) assert.ok(!names.has(prefixName(null, path)), path)
  assert.ok(!names.has(prefixName('other.test', '/a')))
})

test('below so many segments there are no further prefixes', () => {
  const path = '/x'.repeat(PREFIX_SEGMENTS + 5)
  const names = prefixesOf(`http://h:80${path}`)
  assert.equal(names.length, 2 * (PREFIX_SEGMENTS + 1))
  assert.ok(names.includes(prefixName(null, '/x'.repeat(PREFIX_SEGMENTS))))
})

test('other names have none', () => {
  assert.deepEqual(withPrefixes([tagName('address:http://h:80/a')]), ['tag:address:http://h:80/a'])
  assert.deepEqual(withPrefixes(['address:nonsense']), ['address:nonsense'])
})

test('a row keeps the names of the moments before, and in place of too many everything', () => {
  const row = { purged_at: 1000, names: ['tag:a'] }
  assert.deepEqual(addPurge(undefined, 1000), [])
  assert.deepEqual(addPurge(row, 1010), ['tag:a'])
  assert.deepEqual(addPurge(row, 1031), [])
  assert.deepEqual(addPurge({ ...row, names: Array.from({ length: 50 }, String) }, 1000), [EVERYTHING])
})
