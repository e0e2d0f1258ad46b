import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseNameServer } from './name-server.ts'
import { parseResolvConf } from './resolv-conf.ts'

test('an empty file means the name server on this machine and the defaults of Kong', () => {
  assert.deepEqual(parseResolvConf(''), {
    nameServers: [{ ip: '127.0.0.1', port: 53 }],
    search: [],
    ndots: 1,
    timeoutMs: 2000,
    attempts: 5,
    rotate: false,
  })
})

test('name servers, search list and options are read', () => {
  const text = `# made by a tool
; another comment
nameserver 10.0.0.1
nameserver\t10.0.0.2:5353   # with a port
nameserver [2001:DB8::1]:54
nameserver 2001:db8::2
nameserver not-an-address
search A.test b.test.  .
options ndots:5 timeout:3 attempts:2 rotate edns0
`
  assert.deepEqual(parseResolvConf(text), {
    nameServers: [
      { ip: '10.0.0.1', port: 53 },
      { ip: '10.0.0.2', port: 5353 },
      { ip: '2001:db8::1', port: 54 },
      { ip: '2001:db8::2', port: 53 },
    ],
    search: ['a.test', 'b.test'],
    ndots: 5,
    timeoutMs: 3000,
    attempts: 2,
    rotate: true,
  })
})

test('the last of domain and search lines wins', () => {
  assert.deepEqual(parseResolvConf('search a.test b.test\ndomain c.test d.test').search, ['c.test'])
  assert.deepEqual(parseResolvConf('domain c.test\nsearch a.test b.test').search, ['a.test', 'b.test'])
})

test('options out of range count as the nearest that is in range', () => {
  const { ndots, timeoutMs, attempts } = parseResolvConf('options ndots:99 timeout:0 attempts:100')
  assert.deepEqual({ ndots, timeoutMs, attempts }, { ndots: 15, timeoutMs: 1000, attempts: 5 })
})

test('any text gives a configuration that can be used', () => {
  const words = fc.constantFrom(
    'nameserver',
    'search',
    'domain',
    'options',
    'ndots:',
    'timeout:-1',
    '.',
    '#',
    '::1',
    '1.2.3.4:0',
  )
  const lines = fc.array(fc.oneof(words, fc.string()), { maxLength: 8 }).map((parts) => parts.join(' '))
  fc.assert(
    fc.property(fc.array(lines, { maxLength: 8 }), (text) => {
      const conf = parseResolvConf(text.join('\n'))
      assert.ok(conf.nameServers.length > 0)
      assert.ok(conf.timeoutMs >= 1000 && conf.timeoutMs <= 30_000 && conf.attempts >= 1 && conf.attempts <= 5)
    }),
  )
})

test('a name server is an address with or without a port, and nothing else', () => {
  assert.deepEqual(parseNameServer('::1'), { ip: '::1', port: 53 })
  assert.deepEqual(parseNameServer('[0:0::1]'), { ip: '::1', port: 53 })
  for (const text of ['', 'ns.test', 'ns.test:53', '1.2.3.4:0', '1.2.3.4:65536', '[1.2.3.4]:53', '1.2.3.4:', '[::1']) {
    assert.equal(parseNameServer(text), null, text)
  }
})
