import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHostMatcher, isDomainName } from './host-patterns.ts'

test('names, and names with a star at one end', () => {
  const matches = createHostMatcher(['A.example', '*.b.example', 'c.*'])
  for (const name of ['a.example', 'x.b.example', 'x.y.b.example', 'c.example']) assert.equal(matches(name), true, name)
  for (const name of ['b.example', '.b.example', 'a.example.org', 'xa.example', 'xb.example', 'c.', ''])
    assert.equal(matches(name), false, name)
  assert.equal(createHostMatcher([])('a.example'), false)
})

test('what is a name of DNS', () => {
  for (const name of ['a.example', 'a-b.c1.example', 'xn--bcher-kva.example', '_x.example', `${'a'.repeat(63)}.b`])
    assert.equal(isDomainName(name), true, name)
  const none = [
    '',
    'localhost',
    '10.0.0.1',
    '::1',
    '*.example',
    'a..b',
    '.a.b',
    'a.b.',
    '-a.b',
    'a b.c',
    'A.b',
    'a.b:80',
  ]
  for (const name of [...none, `${'a'.repeat(64)}.b`, `${'a.'.repeat(130)}b`, 'a.b/../c'])
    assert.equal(isDomainName(name), false, name)
})
