import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient, RawClient } from '../support/raw-client.ts'
import { startRawUpstream, startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

let gateway: Gateway
let upstream: Upstream

const configuration = (port: number) => ({
  _format_version: '3.0',
  services: [
    {
      name: 's',
      host: '127.0.0.1',
      port,
      routes: [
        { name: 'streamed', paths: ['/streamed'], request_buffering: false },
        { name: 'r', paths: ['/'] },
      ],
    },
  ],
})

before(async () => {
  upstream = await startUpstream()
  gateway = await startGateway({
    settings: { client_max_body_size: '1000', client_header_timeout: '500ms', client_body_timeout: '500ms' },
    declarative: configuration(upstream.port),
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})

for (const target of ['/', '/streamed']) {
  test(`a body at the limit passes, one that is announced over it is 413 before it is sent: ${target}`, async () => {
    using exact = await openRawClient(gateway.proxyPort)
    exact.request(`POST ${target} HTTP/1.1`, 'Content-Length: 1000')
    exact.write('x'.repeat(1000))
    assert.equal((await exact.response()).status, 200)

    const before = upstream.received.length
    using over = await openRawClient(gateway.proxyPort)
    over.request(`POST ${target} HTTP/1.1`, 'Content-Length: 1001', 'Expect: 100-continue')
    const { status, headers, body } = await over.response()
    assert.equal(status, 413)
    assert.equal(headers['connection'], 'close')
    assert.match(body, /Payload too large/)
    assert.equal(await over.end(), '')
    assert.equal(upstream.received.length, before)
  })

  test(`a chunked body is 413 as soon as it passes the limit: ${target}`, async () => {
    const before = upstream.received.length
    using exact = await openRawClient(gateway.proxyPort)
    exact.request(`POST ${target} HTTP/1.1`, 'Transfer-Encoding: chunked')
    exact.write(`3e8\r\n${'x'.repeat(1000)}\r\n0\r\n\r\n`)
    assert.equal((await exact.response()).status, 200)
    assert.equal(upstream.received.length, before + 1)

    using over = await openRawClient(gateway.proxyPort)
    over.request(`POST ${target} HTTP/1.1`, 'Transfer-Encoding: chunked')
    over.write(`3e8\r\n${'x'.repeat(1000)}\r\n`)
    over.write('1\r\nx\r\n')
    const { status, headers } = await over.response()
    assert.deepEqual([status, headers['connection']], [413, 'close'])
    await over.end()
    assert.equal(upstream.received.length, before + 1, 'a cut body must not arrive as a whole one')
  })
}

test('a head that is not complete in time is 408, and a connection that sends nothing is closed without a word', async () => {
  using slow = await openRawClient(gateway.proxyPort)
  slow.write('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ')
  const { status, headers } = await slow.response()
  assert.deepEqual([status, headers['connection']], [408, 'close'])
  await slow.end()
  using silent = await openRawClient(gateway.proxyPort)
  assert.equal(await silent.end(), '')
})

test('a head that comes byte by byte has no more time than any other', async () => {
  using slow = await openRawClient(gateway.proxyPort)
  const timer = setInterval(() => slow.socket.write('a'), 50)
  slow.write('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ')
  try {
    assert.equal((await slow.response()).status, 408)
  } finally {
    clearInterval(timer)
  }
})

for (const target of ['/', '/streamed']) {
  test(`a body that stops coming is 408: ${target}`, async () => {
    using slow = await openRawClient(gateway.proxyPort)
    slow.request(`POST ${target} HTTP/1.1`, 'Content-Length: 100')
    slow.write('half of it')
    const { status, headers } = await slow.response()
    assert.deepEqual([status, headers['connection']], [408, 'close'])
    await slow.end()
  })
}

test('connections over worker_connections are told 503 and closed, and there is room again when others leave', async () => {
  await using full = await startGateway({
    settings: { worker_connections: '16' },
    declarative: configuration(upstream.port),
  })
  const held = await Promise.all(Array.from({ length: 16 }, () => openRawClient(full.proxyPort)))
  for (const client of held) {
    client.request('GET / HTTP/1.1')
    assert.equal((await client.response()).status, 200)
  }
  using further = await openRawClient(full.proxyPort)
  further.request('GET / HTTP/1.1')
  const { status, headers, body } = await further.response()
  assert.equal(status, 503)
  assert.equal(headers['connection'], 'close')
  assert.equal(headers['retry-after'], '1')
  assert.equal(body, 'The gateway has no room for new connections\n')
  assert.equal(await further.end(), '')
  held[0]!.request('GET / HTTP/1.1')
  assert.equal((await held[0]!.response()).status, 200)
  held.pop()!.close()
  await waitUntil('there is room', async () => {
    using next = await openRawClient(full.proxyPort)
    next.request('GET / HTTP/1.1')
    return (await next.response()).status === 200
  })
  for (const client of held) client.close()
})

test('requests over worker_max_requests are 503 at once with Retry-After, and served again when others end', async () => {
  const opened: RawClient[] = []
  await using slow = await startRawUpstream((socket: Socket) => opened.push(new RawClient(socket)))
  await using busy = await startGateway({
    settings: { worker_max_requests: '2', upstream_keepalive_pool_size: '0' },
    declarative: configuration(slow.port),
  })
  const clients = await Promise.all(Array.from({ length: 3 }, () => openRawClient(busy.proxyPort)))
  for (const client of clients.slice(0, 2)) client.request('GET / HTTP/1.1')
  await waitUntil('two are under way', () => opened.length === 2)
  clients[2]!.request('GET / HTTP/1.1')
  const { status, headers } = await clients[2]!.response()
  assert.deepEqual([status, headers['retry-after']], [503, '1'])
  opened[0]!.write('HTTP/1.1 204 No Content', '', '')
  opened[1]!.write('HTTP/1.1 204 No Content', '', '')
  for (const client of clients.slice(0, 2)) assert.equal((await client.response()).status, 204)
  clients[0]!.request('GET / HTTP/1.1')
  await waitUntil('the next is under way', () => opened.length === 3)
  opened[2]!.write('HTTP/1.1 204 No Content', '', '')
  assert.equal((await clients[0]!.response()).status, 204)
  for (const client of clients) client.close()
})
