import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Received, settle, socketPair, tlsSocketPair } from '../../test/support/socket-pair.ts'
import { readSocket, releaseSocket, stopReading, type ByteReader } from './socket-reader.ts'

class Reader implements ByteReader {
  text = ''
  reads: Buffer[] = []
  areShared: boolean[] = []
  onBytes(bytes: Buffer, isShared: boolean): void {
    this.text += bytes.toString('latin1')
    this.reads.push(bytes)
    this.areShared.push(isShared)
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!isTrue()) {
    assert.ok(Date.now() < deadline, 'the condition holds within 10 s')
    await settle(2)
  }
}

for (const [over, makePair] of [
  ['TCP', socketPair],
  ['TLS', tlsSocketPair],
] as const) {
  test(`${over}: connections share the memory they read into, and each gets its own bytes`, async () => {
    using one = await makePair()
    using two = await makePair()
    const readers = [new Reader(), new Reader()] as const
    readSocket(one.server, readers[0])
    readSocket(two.server, readers[1])
    one.client.write('first')
    await until(() => readers[0].text === 'first')
    two.client.write('other')
    await until(() => readers[1].text === 'other')
    assert.deepEqual([readers[0].areShared, readers[1].areShared], [[true], [true]])
    assert.equal(readers[0].reads[0]!.buffer, readers[1].reads[0]!.buffer)
    assert.equal(readers[0].reads[0]!.toString(), 'other', 'bytes are not kept by the reader of sockets')
  })

  test(`${over}: much is read in the same memory, whole and in order`, async () => {
    using pair = await makePair()
    const reader = new Reader()
    readSocket(pair.server, reader)
    const text = Array.from({ length: 400_000 }, (_, i) => `${i},`).join('')
    pair.client.write(text)
    await until(() => reader.text.length >= text.length)
    assert.ok(reader.text === text)
    assert.equal(new Set(reader.reads.map(({ buffer }) => buffer)).size, 1)
  })

  test(`${over}: a paused socket hands over nothing until it is resumed`, async () => {
    using pair = await makePair()
    const reader = new Reader()
    readSocket(pair.server, reader)
    pair.client.write('a')
    await until(() => reader.text === 'a')
    pair.server.pause()
    pair.client.write('b')
    await settle()
    assert.equal(reader.text, 'a')
    pair.server.resume()
    await until(() => reader.text === 'ab')
  })

  test(`${over}: the end of the peer is an event of the socket`, async () => {
    using pair = await makePair()
    const reader = new Reader()
    readSocket(pair.server, reader)
    pair.client.end('last')
    await once(pair.server, 'end')
    assert.equal(reader.text, 'last')
  })

  test(`${over}: a socket whose reader is taken away is an ordinary stream with backpressure`, async () => {
    using pair = await makePair()
    using other = await makePair()
    const reader = new Reader()
    readSocket(pair.server, reader)
    readSocket(other.server, new Reader())
    pair.client.write('mine')
    await until(() => reader.text === 'mine')
    stopReading(pair.server)
    pair.server.pause()
    const text = Array.from({ length: 300_000 }, (_, i) => `${i},`).join('')
    pair.client.write(text)
    other.client.write('x'.repeat(10_000))
    await settle(100)
    assert.ok(pair.server.readableLength < 500_000, 'what nobody takes stays in the kernel')
    const received = new Received(pair.server)
    pair.server.resume()
    await received.until(() => received.text.length >= text.length)
    assert.ok(received.text === text)
    assert.equal(reader.text, 'mine')
  })
}

test('a closed socket that was released refers to nobody who used it', async () => {
  using pair = await socketPair()
  const { server } = pair
  const reader = new Reader()
  readSocket(server, reader)
  const closed = once(server, 'close')
  const others: string[] = []
  server.on('close', () => releaseSocket(server))
  server.on('close', () => others.push('told'))
  server.destroy()
  await closed
  assert.deepEqual(others, ['told'])
  const refersTo = (from: unknown, wanted: unknown, seen = new Set<unknown>()): boolean => {
    if (from === wanted) return true
    if (typeof from !== 'object' || from === null || seen.has(from)) return false
    seen.add(from)
    return Reflect.ownKeys(from).some((key) => refersTo((from as Record<PropertyKey, unknown>)[key], wanted, seen))
  }
  const functions = Reflect.ownKeys(server)
    .map((key) => (server as unknown as Record<PropertyKey, unknown>)[key])
    .filter((value) => typeof value === 'function')
  assert.deepEqual([refersTo(server, reader), functions], [false, []])
  assert.deepEqual(
    server.eventNames().map((name) => [name, server.listenerCount(name)]),
    [['error', 1]],
  )
  server.emit('error', new Error('late'))
})
