import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { joinSockets, type TunnelResult } from './tunnel.ts'

let server: Server
let accepted: (socket: Socket) => void = () => undefined
const open = new Set<Socket>()

before(async () => {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    accepted(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
after(() => {
  for (const socket of open) socket.destroy()
  server.close()
})

/** Two connected ends of one TCP connection. */
async function pair(): Promise<[Socket, Socket]> {
  const coming = new Promise<Socket>((resolve) => (accepted = resolve))
  const socket = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', allowHalfOpen: true })
  open.add(socket)
  socket.on('error', () => undefined)
  return [socket, await coming]
}

/** A client and an upstream with the tunnel between them, and its result when it ends. */
async function tunnel(toUpstream: Buffer | null = null, toClient: Buffer | null = null, idleMs = 10_000) {
  const [client, clientSide] = await pair()
  const [upstreamSide, upstream] = await pair()
  upstream.on('error', () => undefined)
  const result = new Promise<TunnelResult>((resolve) =>
    joinSockets(clientSide, upstreamSide, toUpstream, toClient, idleMs, resolve),
  )
  return { client, upstream, result }
}

async function textUntilEnd(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  await once(socket, 'end')
  return text
}

test('what came early goes first, each side’s end ends only its own direction, and the bytes are counted', async () => {
  const { client, upstream, result } = await tunnel(Buffer.from('early up '), Buffer.from('early down '))
  const atUpstream = textUntilEnd(upstream)
  client.end('up')
  assert.equal(await atUpstream, 'early up up')
  const atClient = textUntilEnd(client)
  upstream.end('down')
  assert.equal(await atClient, 'early down down')
  assert.deepEqual(await result, {
    bytesToClient: 'early down down'.length,
    bytesToUpstream: 'early up up'.length,
  })
})

test('a side that is reset ends the other, and the tunnel ends once', async () => {
  const { client, upstream, result } = await tunnel()
  client.write('x')
  await once(upstream, 'data')
  client.resetAndDestroy()
  upstream.on('data', () => undefined)
  await once(upstream, 'end')
  upstream.destroy()
  await result
})

test('a tunnel in which nothing passes ends', async () => {
  const { client, upstream, result } = await tunnel(null, null, 50)
  client.resume()
  upstream.resume()
  await result
})

test('a side that does not read holds the other back', async () => {
  const { client, upstream, result } = await tunnel()
  client.pause()
  const piece = Buffer.alloc(1024 * 1024)
  let sent = 0
  while (sent < 100 && upstream.write(piece)) sent++
  // What the kernel and the two streams hold; the rest waits in the sender.
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.ok(upstream.writableLength > 0 || sent < 100)
  client.destroy()
  upstream.destroy()
  await result
})
