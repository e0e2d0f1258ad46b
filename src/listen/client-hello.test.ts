import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { connect, type ConnectionOptions } from 'node:tls'
import { HELLO_BYTES_MAX, readClientHello } from './client-hello.ts'

/** The first bytes that Node's own TLS sends. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket: Duplex = new Duplex({
      read() {},
      write(bytes: Buffer, _encoding, done) {
        done()
        resolve(bytes)
        socket.destroy()
      },
    })
    connect({ ...options, socket }).on('error', () => undefined)
  })
}

test('the server name of a real hello, whatever part of it has come', async () => {
  const hello = await helloOf({ servername: 'Orders.Example' })
  assert.deepEqual(readClientHello(hello), { state: 'read', serverName: 'orders.example', protocols: [] })
  for (let length = 0; length < hello.length; length++)
    assert.deepEqual(readClientHello(hello.subarray(0, length)), { state: 'incomplete' }, `${length} bytes`)
  const more = Buffer.concat([hello, Buffer.from([22, 3, 3])])
  assert.deepEqual(readClientHello(more), { state: 'read', serverName: 'orders.example', protocols: [] })
})

test('a hello in many records, without a name, or with extensions before it', async () => {
  const hello = await helloOf({ servername: 'a.example', maxVersion: 'TLSv1.2', ALPNProtocols: ['h2', 'http/1.1'] })
  const payload = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < payload.length; at += 50) {
    const part = payload.subarray(at, at + 50)
    records.push(Buffer.from([22, 3, 1, 0, part.length]), part)
  }
  assert.deepEqual(readClientHello(Buffer.concat(records)), {
    state: 'read',
    serverName: 'a.example',
    protocols: ['h2', 'http/1.1'],
  })
  assert.deepEqual(readClientHello(await helloOf({})), { state: 'read', serverName: null, protocols: [] })
})

test('what is no hello is invalid, and nothing makes the reader throw or read past its bytes', async () => {
  const hello = await helloOf({ servername: 'a.example' })
  for (const text of ['GET / HTTP/1.1\r\n', '\x16\x02\x00', '\x16\x03\x01\x00\x00', '\x16\x03\x01\xff\xff'])
    assert.deepEqual(readClientHello(Buffer.from(text, 'latin1')), { state: 'invalid' }, JSON.stringify(text))
  const longer = Buffer.from(hello)
  longer.writeUIntBE(HELLO_BYTES_MAX, 6, 3)
  assert.deepEqual(readClientHello(longer), { state: 'invalid' })
  let seed = 1
  const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648
  for (let i = 0; i < 5000; i++) {
    const broken = Buffer.from(hello)
    for (let n = 0; n < 3; n++) broken[Math.floor(random() * broken.length)] = Math.floor(random() * 256)
    const read = readClientHello(broken)
    assert.ok(['invalid', 'incomplete', 'read'].includes(read.state))
  }
})
