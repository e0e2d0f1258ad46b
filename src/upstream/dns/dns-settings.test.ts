import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readNameServers, readOrder } from './dns-settings.ts'

test('the order of record types may be written in any case', () => {
  assert.deepEqual(readOrder(['last', 'srv', 'A', 'Cname']), ['LAST', 'SRV', 'A', 'CNAME'])
})

test('an order that asks for nothing is refused, and the wrong item is named', () => {
  assert.throws(() => readOrder(['A', 'MX']), { message: 'dns_order: expected LAST, SRV, A, AAAA, CNAME, got "MX"' })
  assert.throws(() => readOrder(['LAST']), /^Error: dns_order: expected at least one record type, got none$/)
})

test('name servers are addresses; without any resolv.conf decides', () => {
  assert.deepEqual(readNameServers(['10.0.0.1', '10.0.0.2:54']), [
    { ip: '10.0.0.1', port: 53 },
    { ip: '10.0.0.2', port: 54 },
  ])
  assert.equal(readNameServers([]), null)
  assert.equal(readNameServers(null), null)
  assert.throws(() => readNameServers(['ns.test']), /dns_resolver: expected an IP address .*"ns.test"/)
})
