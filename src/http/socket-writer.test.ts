import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Received, settle, socketPair, tlsSocketPair } from '../../test/support/socket-pair.ts'
import { writeMessage } from './socket-writer.ts'

/** More than the kernel's buffers of both ends take while nobody reads. */
const LARGE_BYTES = 16 * 1024 * 1024

test('a message that fits arrives whole and asks for no drain', async () => {
  using pair = await socketPair()
  const received = new Received(pair.client)
  assert.equal(writeMessage(pair.server, 'caf\xe9 '), true)
  assert.equal(writeMessage(pair.server, Buffer.from('bytes')), true)
  await received.untilText('bytes')
  assert.equal(received.text, 'caf\xe9 bytes')
})

for (const [kind, make] of [
  ['text', () => 'a'.repeat(LARGE_BYTES)],
  ['bytes', () => Buffer.alloc(LARGE_BYTES, 'a')],
] as const) {
  test(`${kind} that the kernel takes only in part keeps its place before later writes, then drains`, async () => {
    using pair = await socketPair()
    assert.equal(writeMessage(pair.server, make()), false)
    const drained = once(pair.server, 'drain')
    pair.server.write('after')
    assert.equal(typeof writeMessage(pair.server, 'last'), 'boolean')
    const received = new Received(pair.client)
    await drained
    await received.until(() => received.text.endsWith('afterlast'))
    assert.equal(received.text.length, LARGE_BYTES + 'afterlast'.length)
    assert.ok(received.text.startsWith('aaa'))
    assert.equal(received.text.indexOf('after'), LARGE_BYTES)
  })

  test(`the end of the stream waits for ${kind} that are still being sent`, async () => {
    using pair = await socketPair()
    writeMessage(pair.server, make())
    pair.server.end()
    const received = new Received(pair.client)
    await received.untilEnd()
    assert.equal(received.text.length, LARGE_BYTES)
  })

  test(`destroying a socket with ${kind} under way neither throws nor drains`, async () => {
    using pair = await socketPair()
    writeMessage(pair.server, make())
    let drains = 0
    pair.server.on('drain', () => drains++)
    pair.server.destroy()
    await once(pair.server, 'close')
    await settle()
    assert.equal(drains, 0)
  })
}

test('the memory of bytes under way is kept until the kernel has them', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  using pair = await socketPair()
  const memory = (() => {
    const bytes = Buffer.allocUnsafeSlow(LARGE_BYTES).fill('k')
    assert.equal(writeMessage(pair.server, bytes), false)
    return new WeakRef(bytes.buffer)
  })()
  await settle()
  collect()
  assert.notEqual(memory.deref(), undefined)
  const received = new Received(pair.client)
  await received.until(() => received.text.length === LARGE_BYTES)
  assert.ok(/^k+$/.test(received.text))
  await settle()
  collect()
  assert.equal(memory.deref(), undefined)
})

test('a write to a socket whose peer is gone ends it without an exception', async () => {
  using pair = await socketPair()
  pair.server.on('error', () => undefined)
  pair.client.resetAndDestroy()
  const closed = once(pair.server, 'close')
  while (!pair.server.destroyed) {
    writeMessage(pair.server, 'x')
    await settle(1)
  }
  await closed
})

test('messages of one turn over TLS, where a handle takes one write at a time, arrive in order', async () => {
  using pair = await tlsSocketPair()
  const { server: socket, client } = pair
  const received = new Received(client)
  writeMessage(socket, 'one ')
  writeMessage(socket, 'two ')
  socket.write('three ')
  writeMessage(socket, Buffer.from('four'))
  await received.untilText('four')
  assert.equal(received.text, 'one two three four')
})
