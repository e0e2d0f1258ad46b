import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient, RawClient } from '../support/raw-client.ts'
import { startRawUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil, within } from '../support/wait.ts'

let gateway: Gateway
let upstream: Upstream
/** Connections that the gateway opened to the upstream, oldest first. */
let opened: RawClient[] = []

before(async () => {
  upstream = await startRawUpstream((socket: Socket) => opened.push(new RawClient(socket)))
  gateway = await startGateway({
    // Each exchange has a connection of its own, which is the one that `opened` shows.
    settings: { upstream_keepalive_pool_size: '0' },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          read_timeout: 20_000,
          routes: [{ name: 'r', paths: ['/'] }],
        },
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

/** Sends a request and answers both ends: the client, and the upstream's connection with its head read. */
async function exchange(line: string, ...fields: string[]) {
  opened = []
  const client = await openRawClient(gateway.proxyPort)
  client.request(line, ...fields)
  await waitUntil('the upstream is asked', () => opened.length > 0)
  const server = opened[0]!
  await server.until('\r\n\r\n')
  return { client, server }
}

test('events of a stream pass one by one, at once', async () => {
  const { client, server } = await exchange('GET /events HTTP/1.1', 'Accept: text/event-stream')
  server.write('HTTP/1.1 200 OK', 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked', '', '')
  const head = await client.until('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 200 /)
  for (let i = 0; i < 5; i++) {
    const event = `data: ${i}\n\n`
    server.socket.write(`${event.length.toString(16)}\r\n${event}\r\n`)
    // The next is written only when this one is there: nothing may wait for more.
    assert.match(await client.until(event), new RegExp(`data: ${i}`))
  }
  server.socket.write('0\r\n\r\n')
  assert.equal(await client.until('0\r\n\r\n'), '\r\n0\r\n\r\n')
  client.close()
})

test('events of a stream without length pass at once, and its end is its end', async () => {
  const { client, server } = await exchange('GET /events HTTP/1.1')
  server.write('HTTP/1.1 200 OK', 'Content-Type: text/event-stream', 'Connection: close', '', '')
  await client.until('\r\n\r\n')
  server.socket.write('data: 1\n\n')
  await client.until('data: 1\n\n')
  server.socket.end('data: 2\n\n')
  assert.match(await client.until('0\r\n\r\n'), /data: 2\n\n/)
  client.close()
})

test('a client that leaves before the answer cancels the work of the upstream', async () => {
  const { client, server } = await exchange('GET /slow HTTP/1.1')
  client.close()
  await within('the upstream sees the end', server.closed)
})

test('a client that leaves within the answer cancels the rest of it', async () => {
  const { client, server } = await exchange('GET /stream HTTP/1.1')
  server.write('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '2\r\nab\r\n')
  await client.until('ab')
  client.close()
  await within('the upstream sees the end', server.closed)
})

test('a client that leaves within its body cancels the request', async () => {
  const { client, server } = await exchange('POST /upload HTTP/1.1', 'Content-Length: 10000000')
  client.socket.write(Buffer.alloc(100_000))
  await server.bytes(100_000)
  client.close()
  await within('the upstream sees the end', server.closed)
})

for (const [what, fields, part] of [
  ['of a known length', ['Content-Length: 100'], 'half'],
  ['in chunks', ['Transfer-Encoding: chunked'], '4\r\nhalf\r\n'],
] as const) {
  for (const how of ['ends', 'resets'] as const) {
    test(`an upstream that ${how} within an answer ${what} cuts the client's connection too`, async () => {
      const { client, server } = await exchange('GET /cut HTTP/1.1')
      server.write('HTTP/1.1 200 OK', ...fields, '', part)
      await client.until('half')
      if (how === 'ends') server.socket.end()
      else server.socket.resetAndDestroy()
      const rest = await client.end()
      assert.doesNotMatch(rest, /0\r\n\r\n/, 'a cut answer must not look complete')
    })
  }
}

test('an answer that is cut does not look complete to a client that knows its end only by the connection’s', async () => {
  const { client, server } = await exchange('GET /cut HTTP/1.0')
  server.write('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '4\r\nhalf\r\n')
  await client.until('half')
  server.socket.resetAndDestroy()
  const { isEnded, code } = await within('the client’s connection closed', client.closed)
  assert.deepEqual({ isEnded, code }, { isEnded: false, code: 'ECONNRESET' })
})

test('an upstream that answers nonsense within its chunks cuts the client’s connection', async () => {
  const { client, server } = await exchange('GET /cut HTTP/1.1')
  server.write('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '4\r\nhalf\r\nnonsense\r\n')
  await client.until('half')
  assert.doesNotMatch(await client.end(), /0\r\n\r\n/)
  await within('the upstream’s connection closed', server.closed)
})

test('an upstream that closes without an answer is 502, and the client’s connection goes on', async () => {
  const { client, server } = await exchange('POST /nothing HTTP/1.1', 'Content-Length: 0')
  server.socket.end()
  const response = await client.response()
  assert.equal(response.status, 502)
  client.request('POST /again HTTP/1.1', 'Content-Length: 0')
  await waitUntil('the upstream is asked again', () => opened.length > 1)
  await opened[1]!.until('\r\n\r\n')
  opened[1]!.write('HTTP/1.1 204 No Content', '', '')
  assert.equal((await client.response()).status, 204)
  client.close()
})

test('an upstream that answers before it has read the request ends the upload, and the client gets the answer', async () => {
  const { client, server } = await exchange('POST /early HTTP/1.1', 'Content-Length: 10000000')
  client.socket.write(Buffer.alloc(100_000))
  await server.bytes(100_000)
  server.write('HTTP/1.1 401 Unauthorized', 'Content-Length: 2', 'Connection: close', '', 'no')
  const response = await client.response()
  assert.deepEqual([response.status, response.body], [401, 'no'])
  await within('the upstream sees the end', server.closed)
})

test('an upload that takes longer than read_timeout is no time-out as long as it goes on', async () => {
  await using slow = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [
        { name: 's', host: '127.0.0.1', port: upstream.port, read_timeout: 600, routes: [{ name: 'r', paths: ['/'] }] },
      ],
    },
  })
  opened = []
  using client = await openRawClient(slow.proxyPort)
  client.request('POST / HTTP/1.1', 'Transfer-Encoding: chunked', 'Content-Type: text/plain')
  // Over what is buffered, so that it streams from the start.
  client.socket.write(`${(70_000).toString(16)}\r\n${'x'.repeat(70_000)}\r\n`)
  await waitUntil('the upstream is asked', () => opened.length > 0)
  const server = opened[0]!
  await server.until('\r\n\r\n')
  for (let i = 0; i < 8; i++) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    client.socket.write(`5\r\npart${i}\r\n`)
    await server.until(`part${i}`)
  }
  client.socket.write('0\r\n\r\n')
  await server.until('0\r\n\r\n')
  server.write('HTTP/1.1 200 OK', 'Content-Length: 4', '', 'done')
  const { status, body } = await client.response()
  assert.deepEqual({ status, body }, { status: 200, body: 'done' })
})
