import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderList } from '#http/header-list.ts'
import { createClientTrust, type ClientTrustSettings } from './client-trust.ts'

function trust(trustedIps: readonly string[], more: Partial<ClientTrustSettings> = {}) {
  return createClientTrust({ trustedIps, realIpHeader: 'X-Forwarded-For', realIpRecursive: false, ...more })
}

const balancer = { peerIp: '10.0.0.1', peerPort: 1, proxied: null }

function forwarded(...values: readonly string[]): HeaderList {
  return HeaderList.from(values.map((value) => ['X-Forwarded-For', value] as const))
}

for (const [entry, inside, outside] of [
  ['10.1.2.3', '10.1.2.3', '10.1.2.4'],
  ['10.0.0.0/8', '10.255.0.1', '11.0.0.1'],
  ['0.0.0.0/0', '203.0.113.9', 'fe80::1'],
  ['fe80::/10', 'fe80::1', '2001:db8::1'],
  ['2001:db8::1', '2001:db8:0:0:0:0:0:1', '2001:db8::2'],
  ['unix:', '', '127.0.0.1'],
] as const) {
  test(`${entry} trusts ${inside || 'a unix socket'} and not ${outside}`, () => {
    assert.equal(trust([entry]).isTrusted(inside), true)
    assert.equal(trust([entry]).isTrusted(outside), false)
  })
}

test('nobody is trusted when nothing is configured', () => {
  assert.equal(trust([]).isTrusted('127.0.0.1'), false)
  assert.equal(trust([]).isTrusted(''), false)
})

for (const [what, values, expected] of [
  ['no header', [], '10.0.0.1'],
  ['one address', ['203.0.113.9'], '203.0.113.9'],
  ['the last address of several', ['203.0.113.9, 198.51.100.7'], '198.51.100.7'],
  ['the last of several headers', ['203.0.113.9', '198.51.100.7'], '198.51.100.7'],
  ['an address with a port', ['203.0.113.9:4711'], '203.0.113.9'],
  ['an IPv6 address in brackets with a port', ['[2001:db8::7]:4711'], '2001:db8::7'],
  ['no address at all', ['unknown'], '10.0.0.1'],
] as const) {
  test(`the client's address with ${what}`, () =>
    assert.equal(trust(['10.0.0.0/8']).realIp(balancer, forwarded(...values)), expected))
}

for (const [what, values, expected] of [
  ['trusted ones at the end are skipped', ['203.0.113.9, 10.0.0.3, 10.0.0.2'], '203.0.113.9'],
  ['what a client wrote before its own address does not count', ['1.1.1.1, 203.0.113.9, 10.0.0.2'], '203.0.113.9'],
  ['the first one when all are trusted', ['10.0.0.4, 10.0.0.3'], '10.0.0.4'],
  ['no further than what is no address', ['203.0.113.9, nonsense, 10.0.0.2'], '10.0.0.2'],
] as const) {
  test(`with real_ip_recursive ${what}`, () =>
    assert.equal(trust(['10.0.0.0/8'], { realIpRecursive: true }).realIp(balancer, forwarded(...values)), expected))
}

test('another header is read when the settings name it', () => {
  const headers = HeaderList.from([
    ['X-Real-IP', '203.0.113.9'],
    ['X-Forwarded-For', '198.51.100.7'],
  ])
  assert.equal(trust(['10.0.0.0/8'], { realIpHeader: 'X-Real-IP' }).realIp(balancer, headers), '203.0.113.9')
})

test('with real_ip_header = proxy_protocol the header of that protocol says address and port, and where it says nothing the peer does', () => {
  const by = trust(['10.0.0.0/8'], { realIpHeader: 'PROXY_protocol' })
  const proxied = { sourceIp: '203.0.113.9', sourcePort: 4711, destinationIp: '10.0.0.5', destinationPort: 80 }
  assert.equal(by.realIp({ ...balancer, proxied }, forwarded('198.51.100.7')), '203.0.113.9')
  assert.equal(by.realPort({ ...balancer, proxied }), 4711)
  assert.equal(by.realIp(balancer, forwarded('198.51.100.7')), '10.0.0.1')
  assert.equal(by.realPort(balancer), 1)
  // Any other header: the PROXY protocol is read, and its address is not the client's, as in nginx.
  assert.equal(trust(['10.0.0.0/8']).realIp({ ...balancer, proxied }, forwarded('198.51.100.7')), '198.51.100.7')
})
