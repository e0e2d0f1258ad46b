import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { readProxyHeader, writeProxyHeader, type ProxiedAddresses } from './proxy-header.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const some = (sourceIp: string, destinationIp: string): ProxiedAddresses => ({
  sourceIp,
  sourcePort: 56324,
  destinationIp,
  destinationPort: 443,
})

for (const [what, bytes, size, addresses] of [
  ['v1 TCP4', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET'), 45, some('192.0.2.1', '198.51.100.2')],
  [
    'v1 TCP6, written long',
    Buffer.from('PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::ffff:198.51.100.2 56324 443\r\n'),
    63,
    some('2001:db8::1', '198.51.100.2'),
  ],
  ['v1 UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), 15, null],
  ['v1 UNKNOWN with something', Buffer.from('PROXY UNKNOWN ffff:f...f:ffff 65535 \x00\r\nrest'), 39, null],
  ['v2 TCP4', hex(`${SIGNATURE} 21 11 000c c0000201 c6336402 dc04 01bb`), 28, some('192.0.2.1', '198.51.100.2')],
  [
    'v2 TCP6 with a TLV behind',
    hex(`${SIGNATURE} 21 21 0028 20010db8${'00'.repeat(11)}01 ${'00'.repeat(10)}ffffc6336402 dc04 01bb 04000100`),
    56,
    some('2001:db8::1', '198.51.100.2'),
  ],
  ['v2 LOCAL', hex(`${SIGNATURE} 20 00 0000`), 16, null],
  ['v2 LOCAL that names somebody all the same', hex(`${SIGNATURE} 20 11 000c c0000201 c6336402 dc04 01bb`), 28, null],
  ['v2 of a Unix socket', hex(`${SIGNATURE} 21 31 00d8 ${'61'.repeat(216)}`), 232, null],
  ['v2 of datagrams', hex(`${SIGNATURE} 21 12 000c c0000201 c6336402 dc04 01bb`), 28, null],
  ['v2 of no family', hex(`${SIGNATURE} 21 00 0003 010203`), 19, null],
] as const)
  test(`${what} is read, whatever of it has come`, () => {
    assert.deepEqual(readProxyHeader(bytes), { state: 'read', size, addresses })
    for (let length = 0; length < size; length++)
      assert.deepEqual(readProxyHeader(bytes.subarray(0, length)), { state: 'incomplete' }, `${length} bytes`)
  })

for (const [what, bytes] of [
  ['a request', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['a hello of TLS', hex('16030100')],
  ['another case', Buffer.from('proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n')],
  ['another family', Buffer.from('PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n')],
  ['UNKNOWNS', Buffer.from('PROXY UNKNOWNS\r\n')],
  ['an address of the other family', Buffer.from('PROXY TCP4 ::1 198.51.100.2 1 2\r\n')],
  ['an address with a zone', Buffer.from('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
  ['half an address', Buffer.from('PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n')],
  ['a port too high', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n')],
  ['a port with a sign', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n')],
  ['a port with a zero before it', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n')],
  ['no ports', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2\r\n')],
  ['two spaces', Buffer.from('PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n')],
  ['more behind the ports', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n')],
  ['LF alone', Buffer.from(`PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n${'x'.repeat(80)}`)],
  ['a line of 108 bytes', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)],
  ['version 1 in binary', hex(`${SIGNATURE} 11 11 000c c0000201 c6336402 dc04 01bb`)],
  ['an unknown command', hex(`${SIGNATURE} 22 11 000c c0000201 c6336402 dc04 01bb`)],
  ['too short for IPv4', hex(`${SIGNATURE} 21 11 000b c0000201 c6336402 dc0401`)],
  ['too short for IPv6', hex(`${SIGNATURE} 21 21 000c c0000201 c6336402 dc04 01bb`)],
  ['too long', hex(`${SIGNATURE} 21 11 ffff`)],
] as const)
  test(`${what} is no header, and that is known by the bytes that are there`, () => {
    assert.equal(readProxyHeader(bytes).state, 'invalid')
  })

const addresses = fc
  .oneof(fc.tuple(fc.ipV4(), fc.ipV4()), fc.tuple(fc.ipV6(), fc.ipV6()))
  .chain(([sourceIp, destinationIp]) =>
    fc.record({
      sourceIp: fc.constant(sourceIp),
      sourcePort: fc.nat(65535),
      destinationIp: fc.constant(destinationIp),
      destinationPort: fc.nat(65535),
    }),
  )

test('what is written is read again, in both versions, with anything behind it', () => {
  fc.assert(
    fc.property(addresses, fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 40 }), (given, version, rest) => {
      const header = writeProxyHeader(version, given)
      const read = readProxyHeader(Buffer.concat([header, rest]))
      assert.ok(read.state === 'read' && read.addresses !== null)
      assert.equal(read.size, header.length)
      assert.equal(read.addresses.sourcePort, given.sourcePort)
      assert.equal(read.addresses.destinationPort, given.destinationPort)
      assert.notEqual(isIP(read.addresses.sourceIp), 0)
      // Written again it is the same: the form is canonical.
      const again = readProxyHeader(writeProxyHeader(version, read.addresses))
      assert.ok(again.state === 'read')
      assert.deepEqual(again.addresses, read.addresses)
    }),
  )
})

test('ends of different families, or none, are written as nothing known', () => {
  for (const given of [some('192.0.2.1', '::1'), some('', '')])
    for (const version of [1, 2] as const) {
      const header = writeProxyHeader(version, given)
      assert.deepEqual(readProxyHeader(header), { state: 'read', size: header.length, addresses: null })
    }
})

test('no bytes make the reader throw, or read past its limit', () => {
  const starts = fc.constantFrom(
    Buffer.from('PROXY '),
    Buffer.from('PROXY TCP4 '),
    hex(SIGNATURE),
    hex(`${SIGNATURE}21`),
  )
  fc.assert(
    fc.property(starts, fc.uint8Array({ maxLength: 5000 }), (start, rest) => {
      const bytes = Buffer.concat([start, rest])
      const read = readProxyHeader(bytes)
      if (read.state === 'read') assert.ok(read.size <= bytes.length && read.size <= 4096)
      if (read.state === 'incomplete') assert.ok(bytes.length < 4096)
    }),
    { numRuns: 2000 },
  )
})
