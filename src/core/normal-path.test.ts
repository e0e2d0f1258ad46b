import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { normalizePath } from './normal-path.ts'

test('unreserved characters are decoded, reserved ones keep their encoding', () => {
  assert.equal(normalizePath('/%61%2fb%2A%20c'), '/a%2Fb%2A c')
  assert.equal(normalizePath('/%e6%97%a5'), '/日')
  assert.equal(normalizePath('/%0a%00%7f'), '/%0A%00%7F')
  assert.equal(normalizePath('/%c3%28%61'), '/%C3%28a')
})

test('dot segments are removed and slashes merged', () => {
  for (const [path, normal] of [
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/.', '/a/'],
    ['/..', '/'],
    ['/../../a', '/a'],
    ['//a///b', '/a/b'],
    ['/a//../b', '/b'],
    ['/a..b/.c', '/a..b/.c'],
    ['/', '/'],
  ]) {
    assert.equal(normalizePath(path!), normal, path!)
  }
})

test('a normal form is its own normal form', () => {
  const part = fc.constantFrom('a', '.', '..', '/', '%2F', '%61', '%2e', 'é', '-', '%c3', '%a9', '%0a')
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const once = normalizePath(`/${parts.join('')}`)
      assert.equal(normalizePath(once), once)
    }),
  )
})
