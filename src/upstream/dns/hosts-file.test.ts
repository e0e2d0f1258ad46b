import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findHost, parseHosts } from './hosts-file.ts'

test('names and aliases are found in any case, and the first line of a family counts', () => {
  const hosts = parseHosts(`
# comment
10.0.0.1  Db.test db   # main
10.0.0.2  db.test
fe80::1%lo0 odd
::2\tdb.test
999.0.0.1 wrong
`)
  assert.deepEqual(findHost(hosts, 'db.test'), { v4: '10.0.0.1', v6: '::2' })
  assert.deepEqual(findHost(hosts, 'db'), { v4: '10.0.0.1', v6: null })
  assert.equal(findHost(hosts, 'wrong'), null)
})

test('localhost is the loopback interface unless the file says otherwise', () => {
  assert.deepEqual(findHost(parseHosts(''), 'localhost'), { v4: '127.0.0.1', v6: '::1' })
  assert.deepEqual(findHost(parseHosts(''), 'a.localhost'), { v4: '127.0.0.1', v6: '::1' })
  assert.deepEqual(findHost(parseHosts('127.0.0.9 localhost'), 'localhost'), { v4: '127.0.0.9', v6: null })
})
