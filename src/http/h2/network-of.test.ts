import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkOf } from './network-of.ts'

test('an address of IPv4 is a network of its own, of one of IPv6 the first 64 bits are', () => {
  for (const [address, network] of [
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['2001:db8:1:2::6', '2001:db8:1:2::'],
    ['2001:db8::6', '2001:db8:0:0::'],
    ['2001:db8::3:4:5:6', '2001:db8:0:0::'],
    ['2001:db8::2:3:4:5:6', '2001:db8:0:2::'],
    ['::1', '0:0:0:0::'],
    ['fe80::1%eth0', 'fe80:0:0:0::'],
    ['::', '0:0:0:0::'],
  ] as const)
    assert.equal(networkOf(address), network, address)
})
