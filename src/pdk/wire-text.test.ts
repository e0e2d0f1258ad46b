import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromWire, headerValue, safeHeaderValue, safePath, toWire } from './wire-text.ts'

test('Unicode travels as UTF-8 bytes and comes back', () => {
  assert.equal(toWire('é€'), '\xc3\xa9\xe2\x82\xac')
  assert.equal(fromWire('\xc3\xa9\xe2\x82\xac'), 'é€')
  assert.equal(toWire('plain'), 'plain')
  assert.equal(fromWire('\xff'), '\ufffd')
})

test('a header value can not end its line', () => {
  assert.equal(safeHeaderValue('a\r\nX: y\0'), 'a%0D%0AX: y%00')
  assert.equal(safeHeaderValue('tab\tand \xe9'), 'tab\tand \xe9')
  assert.equal(headerValue('é\n'), '\xc3\xa9%0A')
})

test('a path can not end the request line', () => {
  assert.equal(safePath('/a b\r\n#\xe9%2F?x=1'), '/a%20b%0D%0A%23%E9%2F?x=1')
})
