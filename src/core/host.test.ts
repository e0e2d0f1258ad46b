import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatHost, parseHost } from './host.ts'

test('names and addresses are told apart, with their port', () => {
  assert.deepEqual(parseHost('a.test:80'), { type: 'name', host: 'a.test', port: 80 })
  assert.deepEqual(parseHost('1.2.3.4'), { type: 'ipv4', host: '1.2.3.4', port: null })
  assert.deepEqual(parseHost('[2001:DB8::1]:443'), {
    type: 'ipv6',
    host: '2001:0db8:0000:0000:0000:0000:0000:0001',
    port: 443,
  })
  assert.deepEqual(parseHost('::'), { type: 'ipv6', host: '0000:0000:0000:0000:0000:0000:0000:0000', port: null })
})

test('what is no host is refused', () => {
  for (const text of [
    '',
    'a b',
    'a..b',
    '1.2.3',
    '1.2.3.4.5',
    ':::',
    '1:2:3',
    '[::1',
    '[::1]x',
    'a:70000',
    '1.2.3.4:70000',
    '[::1]:70000',
    '::1::',
    '12345::',
  ]) {
    assert.equal(parseHost(text).type, 'invalid', text)
  }
})

test('what is formatted is parsed to the same', () => {
  const port = fc.integer({ min: 0, max: 65_535 })
  fc.assert(
    fc.property(
      fc.oneof(
        fc.domain(),
        fc.ipV4(),
        fc.ipV6().filter((text) => !text.includes('.')),
      ),
      port,
      (host, number) => {
        const parsed = parseHost(host.includes(':') ? `[${host}]:${number}` : `${host}:${number}`)
        assert.ok(parsed.type !== 'invalid', host)
        assert.deepEqual(parseHost(formatHost(parsed, 1)), parsed)
      },
    ),
  )
})
