import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exit } from '#pdk'
import { fakeExchange, prepare } from '#pdk/testing'
import { ipRestriction } from './plugin.ts'

function run(config: object, clientIp: string): Exit | null {
  return (ipRestriction.access!(fakeExchange({ clientIp }), prepare(ipRestriction, config)) ?? null) as Exit | null
}
const isLetIn = (config: object, clientIp: string) => run(config, clientIp) === null

const CASES: readonly (readonly [config: object, ip: string, isLetIn: boolean])[] = [
  [{ allow: ['127.0.0.1'] }, '127.0.0.1', true],
  [{ allow: ['127.0.0.1'] }, '127.0.0.2', false],
  [{ allow: ['10.0.0.0/8', '192.168.1.1'] }, '10.255.0.1', true],
  [{ allow: ['10.0.0.0/8', '192.168.1.1'] }, '11.0.0.1', false],
  [{ allow: ['10.1.2.3/8'] }, '10.9.9.9', true],
  [{ allow: ['0.0.0.0/0'] }, '203.0.113.9', true],
  [{ allow: ['::/0'] }, '2001:db8::1', true],
  [{ allow: ['2001:db8::/32'] }, '2001:DB8:0:0::1', true],
  [{ allow: ['2001:db8::/32'] }, '2001:db9::1', false],
  [{ allow: ['::1'] }, '127.0.0.1', false],
  [{ deny: ['127.0.0.0/30'] }, '127.0.0.3', false],
  [{ deny: ['127.0.0.0/30'] }, '127.0.0.4', true],
  [{ allow: ['127.0.0.1'], deny: ['127.0.0.0/8'] }, '127.0.0.1', false],
  [{ allow: [], deny: ['10.0.0.1'] }, '127.0.0.1', true],
]
for (const [config, ip, expected] of CASES) {
  test(`${JSON.stringify(config)} ${expected ? 'lets in' : 'keeps out'} ${ip}`, () => {
    assert.equal(isLetIn(config, ip), expected)
  })
}

test('an IPv4 address in IPv6 form is the same address', () => {
  assert.equal(isLetIn({ deny: ['10.0.0.1'] }, '::ffff:10.0.0.1'), false)
})

test('says which address is not allowed, or what it is told to say', () => {
  assert.partialDeepStrictEqual(run({ deny: ['127.0.0.1'] }, '127.0.0.1'), {
    status: 403,
    message: 'IP address not allowed: 127.0.0.1',
  })
  assert.partialDeepStrictEqual(run({ deny: ['127.0.0.1'], status: 418, message: 'go away' }, '127.0.0.1'), {
    status: 418,
    message: 'go away',
  })
})

test('a client without an address is refused', () => {
  assert.partialDeepStrictEqual(run({ deny: ['10.0.0.1'] }, ''), { status: 403 })
})

test('a config without a list, or with what is no address, names the field', () => {
  assert.throws(() => prepare(ipRestriction, {}), { code: 'CONFIG_INVALID' })
  for (const entry of ['10.0.0.0/33', 'example.com', '10.0.0.1-10.0.0.9', '']) {
    assert.throws(() => prepare(ipRestriction, { allow: [entry] }), { code: 'CONFIG_INVALID', field: 'allow.0' }, entry)
  }
})
