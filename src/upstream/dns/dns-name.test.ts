import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expandName, isDnsName } from './dns-name.ts'

test('a name with fewer dots than ndots is tried below the search domains first', () => {
  assert.deepEqual(expandName('db', ['a.test', 'b.test'], 1), ['db.a.test', 'db.b.test', 'db'])
  assert.deepEqual(expandName('db.x', ['a.test'], 2), ['db.x.a.test', 'db.x'])
})

test('a name with enough dots is tried as it stands first', () => {
  assert.deepEqual(expandName('db.x', ['a.test'], 1), ['db.x', 'db.x.a.test'])
})

test('a final dot says that the name is complete', () => {
  assert.deepEqual(expandName('db.', ['a.test'], 5), ['db'])
})

test('a search domain that makes the name too long is passed over', () => {
  const long = `${'a'.repeat(60)}.`.repeat(4)
  assert.deepEqual(expandName(`${long}b`, ['example.test'], 9), [`${long}b`])
})

test('names that no message can carry are told apart', () => {
  for (const name of ['a', 'a.b', 'a.b.', '_http._tcp.a-b.test', 'a'.repeat(63)])
    assert.equal(isDnsName(name), true, name)
  for (const name of ['', '.', 'a..b', '.a', 'a b', 'ä.test', 'a/b', 'a'.repeat(64), `${'a.'.repeat(127)}b`]) {
    assert.equal(isDnsName(name), false, name)
  }
})
