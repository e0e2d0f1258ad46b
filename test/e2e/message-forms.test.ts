import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, afterEach, before, test } from 'node:test'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient, RawClient } from '../support/raw-client.ts'
import { startRawUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

let gateway: Gateway
let upstream: Upstream
let opened: RawClient[] = []
let clients: RawClient[] = []

before(async () => {
  upstream = await startRawUpstream((socket: Socket) => opened.push(new RawClient(socket)))
  gateway = await startGateway({
    settings: { upstream_keepalive_pool_size: '0' },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          routes: [
            { name: 'streamed', paths: ['/streamed'], request_buffering: false },
            { name: 'r', paths: ['/'] },
          ],
        },
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
})
afterEach(() => {
  for (const end of [...clients, ...opened]) end.close()
  clients = []
  opened = []
})

async function connected(): Promise<RawClient> {
  const client = await openRawClient(gateway.proxyPort)
  clients.push(client)
  return client
}

/** The upstream's connection of the exchange that was begun, and the request's head on it. */
async function atUpstream(number = 1): Promise<{ server: RawClient; head: string }> {
  await waitUntil('the upstream is asked', () => opened.length >= number)
  const server = opened[number - 1]!
  return { server, head: await server.until('\r\n\r\n') }
}

test('trailers of a chunked request reach the upstream', async () => {
  const client = await connected()
  client.request('POST /streamed HTTP/1.1', 'Transfer-Encoding: chunked', 'Trailer: X-Sum')
  client.write('3\r\nabc\r\n')
  const { server } = await atUpstream()
  client.write('0\r\nX-Sum: 7\r\n\r\n')
  assert.match(await server.until('\r\n\r\n'), /abc\r\n0\r\nX-Sum: 7\r\n\r\n$/i)
})

test('trailers of a response reach a client that takes them, and no other', async () => {
  for (const takes of [true, false]) {
    const client = await connected()
    client.request('GET /streamed HTTP/1.1', ...(takes ? ['TE: trailers', 'Connection: TE'] : []))
    const { server } = await atUpstream(takes ? 1 : 2)
    server.write(
      'HTTP/1.1 200 OK',
      'Transfer-Encoding: chunked',
      'Trailer: X-Sum',
      '',
      '3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n',
    )
    await client.until('\r\n\r\n')
    const body = await client.until('0\r\n')
    assert.match(body, /abc/)
    assert.equal(await client.until('\r\n'), takes ? 'X-Sum: 7\r\n' : '\r\n')
  }
})

test('a client that waits for 100 gets it before it sends its body', async () => {
  const client = await connected()
  client.request('POST / HTTP/1.1', 'Content-Length: 3', 'Expect: 100-continue')
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 100 /)
  client.write('abc')
  const { server, head } = await atUpstream()
  assert.doesNotMatch(head, /^expect:/im)
  assert.equal(await server.bytes(3), 'abc')
  server.write('HTTP/1.1 204 No Content', '', '')
  assert.equal((await client.response()).status, 204)
})

test('a client that waits for 100 and is refused gets the refusal and no 100', async () => {
  const client = await connected()
  client.write('POST / HTTP/1.1', 'Content-Length: 3', 'Expect: 100-continue', '', '')
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 400 /)
})

test('an interim answer of the upstream is not taken for its answer; early hints pass', async () => {
  const client = await connected()
  client.request('GET / HTTP/1.1')
  const { server } = await atUpstream()
  server.write('HTTP/1.1 102 Processing', '', 'HTTP/1.1 103 Early Hints', 'Link: </a.css>; rel=preload', '', '')
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 103 [^]*Link: <\/a\.css>/)
  server.write('HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok')
  assert.equal((await client.response()).body, 'ok')
})

test('HEAD has the length of the body that is not there, and the connection goes on', async () => {
  const client = await connected()
  client.request('HEAD / HTTP/1.1')
  const first = await atUpstream()
  first.server.write('HTTP/1.1 200 OK', 'Content-Length: 1234', '', '')
  const { status, headers } = await client.response('HEAD')
  assert.deepEqual([status, headers['content-length']], [200, '1234'])
  client.request('HEAD /nowhere HTTP/1.1')
  const second = await atUpstream(2)
  second.server.write('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '')
  assert.equal((await client.response('HEAD')).status, 200)
  client.request('GET / HTTP/1.1')
  const third = await atUpstream(3)
  third.server.write('HTTP/1.1 304 Not Modified', 'Content-Length: 99', '', '')
  assert.equal((await client.response()).status, 304)
})

test('an HTTP/1.0 client gets a chunked answer without chunks, ended by the connection', async () => {
  const client = await connected()
  client.request('GET / HTTP/1.0')
  const { server, head } = await atUpstream()
  assert.match(head, /^GET \/ HTTP\/1\.1\r\n/)
  server.write('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '3\r\nabc\r\n0\r\n\r\n')
  const { headers, body } = await client.response()
  assert.equal(headers['transfer-encoding'], undefined)
  assert.equal(headers['connection'], 'close')
  assert.equal(body, 'abc')
})

test('an HTTP/1.0 client that asks to be kept is kept when the answer has a length', async () => {
  const client = await connected()
  for (const number of [1, 2]) {
    client.request('GET / HTTP/1.0', 'Connection: keep-alive')
    const { server } = await atUpstream(number)
    server.write('HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok')
    const { headers, body } = await client.response()
    assert.deepEqual([headers['connection'], body], ['keep-alive', 'ok'])
  }
})

test('an HTTP/1.0 client without keep-alive is closed after its answer', async () => {
  const client = await connected()
  client.request('GET / HTTP/1.0')
  const { server } = await atUpstream()
  server.write('HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok')
  assert.equal((await client.response()).body, 'ok')
  assert.equal(await client.end(), '')
})

test('requests that are sent without waiting are answered in their order', async () => {
  const client = await connected()
  client.write('GET /1 HTTP/1.1', 'Host: a', '', 'GET /2 HTTP/1.1', 'Host: a', '', 'GET /3 HTTP/1.1', 'Host: a', '', '')
  for (const number of [1, 2, 3]) {
    const { server, head } = await atUpstream(number)
    assert.match(head, new RegExp(`^GET /${number} `))
    server.write('HTTP/1.1 200 OK', 'Content-Length: 1', '', String(number))
    assert.equal((await client.response()).body, String(number))
  }
})

test('an upstream that speaks HTTP/1.0 and ends its answer with the connection is passed on in chunks', async () => {
  const client = await connected()
  client.request('GET / HTTP/1.1')
  const { server } = await atUpstream()
  server.write('HTTP/1.0 200 OK', 'Content-Type: text/css', '', 'body {}')
  server.socket.end()
  const { headers, body } = await client.response()
  assert.deepEqual([headers['transfer-encoding'], body], ['chunked', 'body {}'])
})
