import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTarget } from './target-spec.ts'

test('names, addresses and bracketed IPv6 are told from their port', () => {
  assert.deepEqual(parseTarget('web.test:80'), { name: 'web.test', port: 80 })
  assert.deepEqual(parseTarget('10.0.0.1:8000'), { name: '10.0.0.1', port: 8000 })
  assert.deepEqual(parseTarget('[fd00::1]:443'), { name: 'fd00::1', port: 443 })
})

test('what is no target is refused and named', () => {
  for (const text of ['', 'web.test', ':80', 'web.test:x', 'web.test:70000', '[]:80']) {
    assert.throws(() => parseTarget(text), new RegExp('target: expected host:port'), text)
  }
})
