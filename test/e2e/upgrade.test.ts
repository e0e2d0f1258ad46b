import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient, RawClient } from '../support/raw-client.ts'
import { startRawUpstream, startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil, within } from '../support/wait.ts'

function startFor(port: number, settings: Record<string, string> = {}): Promise<Gateway> {
  return startGateway({
    settings,
    declarative: {
      _format_version: '3.0',
      services: [{ name: 's', host: '127.0.0.1', port, read_timeout: 15_000, routes: [{ name: 'r', paths: ['/'] }] }],
    },
  })
}

const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
]

let upstream: Upstream
let gateway: Gateway
let opened: RawClient[] = []

before(async () => {
  const onConnection = (socket: Socket) => {
    opened.push(new RawClient(socket))
  }
  upstream = await startRawUpstream(onConnection, { allowHalfOpen: true })
  gateway = await startFor(upstream.port, { upstream_keepalive_pool_size: '0' })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

/** A client that asks for the upgrade, and the upstream's connection with the head that came. */
async function tunnel() {
  opened = []
  const client = await openRawClient(gateway.proxyPort)
  client.request('GET /chat HTTP/1.1', ...HANDSHAKE)
  await waitUntil('the upstream is asked', () => opened.length > 0)
  const server = opened[0]!
  const head = await server.until('\r\n\r\n')
  const close = () => {
    client.close()
    server.close()
  }
  return { client, server, head, [Symbol.dispose]: close }
}

test('a WebSocket client and server talk through the gateway in both directions, in texts and large binaries', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  server.on('connection', (socket, request) => {
    socket.send(`hello ${request.url}`)
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  await once(server, 'listening')
  const own = await startFor((server.address() as { port: number }).port)
  const client = new WebSocket(`ws://127.0.0.1:${own.proxyPort}/chat?room=1`)
  try {
    const messages: Buffer[] = []
    client.on('message', (data: Buffer) => messages.push(data))
    await waitUntil('the greeting came', () => messages.length === 1)
    assert.equal(messages[0]!.toString(), 'hello /chat?room=1')
    client.send('a text')
    const large = Buffer.alloc(3_000_000, 7)
    client.send(large)
    await waitUntil('both came back', () => messages.length === 3)
    assert.equal(messages[1]!.toString(), 'a text')
    assert.ok(messages[2]!.equals(large))
    const closed = new Promise<number>((resolve) => client.on('close', resolve))
    client.close(4001)
    assert.equal(await within('the close came back', closed), 4001)
  } finally {
    client.terminate()
    server.close()
    await own.stop()
  }
})

test('bytes that come right behind the heads of the upgrade are not lost, on either side', async () => {
  using ends = await tunnel()
  const { client, server } = ends
  client.socket.write('early from the client')
  server.write(
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    'Upgrade: websocket',
    '',
    'early from the upstream',
  )
  const head = await client.until('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 101 /)
  assert.match(head, /^upgrade: websocket\r$/im)
  assert.match(head, /^connection: upgrade\r$/im)
  await client.until('early from the upstream')
  await server.until('early from the client')
})

test('a side that has ended its sending still receives', async () => {
  using ends = await tunnel()
  const { client, server } = ends
  server.write('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket', '', '')
  await client.until('\r\n\r\n')
  client.socket.end('last words')
  await server.until('last words')
  await server.end()
  server.socket.write('the answer to them')
  await client.until('the answer to them')
  server.socket.end()
  await client.end()
})

test('the upstream may end its sending first, too', async () => {
  using ends = await tunnel()
  const { client, server } = ends
  server.write('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket', '', '')
  await client.until('\r\n\r\n')
  server.socket.end('bye')
  await client.until('bye')
  await client.end()
  client.socket.write('still talking')
  await server.until('still talking')
})

for (const side of ['client', 'server'] as const) {
  test(`a ${side} that resets its connection ends the other one`, async () => {
    using ends = await tunnel()
    const { client, server } = ends
    server.write('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket', '', '')
    await client.until('\r\n\r\n')
    const other = side === 'client' ? server : client
    ends[side].socket.resetAndDestroy()
    await other.end()
  })
}

test('an upstream that refuses the upgrade answers like any other', async () => {
  using ends = await tunnel()
  const { client, server } = ends
  server.write('HTTP/1.1 403 Forbidden', 'Content-Length: 2', '', 'no')
  const { status, body } = await client.response()
  assert.deepEqual([status, body], [403, 'no'])
})

test('the upstream gets the upgrade with its own handshake fields, and nothing of another protocol', async () => {
  using ends = await tunnel()
  assert.match(ends.head, /^upgrade: websocket\r$/im)
  assert.match(ends.head, /^connection: .*upgrade\r$/im)
  assert.match(ends.head, /^sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r$/im)
})

test('an upgrade to another protocol is a plain request', async () => {
  await using echoing = await startUpstream()
  await using own = await startFor(echoing.port)
  using client = await openRawClient(own.proxyPort)
  client.request('GET / HTTP/1.1', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk')
  assert.equal((await client.response()).status, 200)
  const [received] = echoing.received
  assert.equal(received!.headers['upgrade'], undefined)
  assert.equal(received!.headers['http2-settings'], undefined)
})

test('a tunnel ends when nothing passes for read_timeout', async () => {
  await using own = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [
        { name: 's', host: '127.0.0.1', port: upstream.port, read_timeout: 700, routes: [{ name: 'r', paths: ['/'] }] },
      ],
    },
  })
  opened = []
  using client = await openRawClient(own.proxyPort)
  client.request('GET / HTTP/1.1', ...HANDSHAKE)
  await waitUntil('the upstream is asked', () => opened.length > 0)
  const server = opened[0]!
  server.write('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket', '', '')
  await client.until('\r\n\r\n')
  await client.end()
  await server.end()
})
