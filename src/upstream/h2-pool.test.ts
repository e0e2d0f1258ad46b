/** HTTP/2 to upstreams, with Node's server at the other end. */
import assert from 'node:assert/strict'
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { connect, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { Deadlines } from '#core/deadlines.ts'
import type { WireFailure } from '#http/failure.ts'
import type { HeaderList } from '#http/header-list.ts'
import { Outbox } from '#http/outbox.ts'
import type { ResponseHead } from '#http/response-head.ts'
import { waitUntil } from '../../test/support/wait.ts'
import type { ResponseSink } from './connection.ts'
import { Http2Pool } from './h2-pool.ts'
import type { UpstreamLink } from './link.ts'

class Call implements ResponseSink {
  readonly link: UpstreamLink
  head: ResponseHead | null = null
  body = ''
  trailers: HeaderList | null = null
  isEnded = false
  failure: WireFailure | null = null
  readonly #text: string

  constructor(pool: Http2Pool, port: number, body = '', readMs = 5_000) {
    this.#text = body
    this.link = pool.link('key', '127.0.0.1', port, null)
    this.link.begin(this, 'POST', { connectMs: 5_000, readMs, writeMs: 5_000 }, true)
    if (this.link.isConnected) this.onUpstreamConnected()
  }
  onUpstreamConnected(): void {
    this.link.writeHead('POST /x HTTP/1.1\r\nHost: up.test\r\nTE: trailers\r\n\r\n', Buffer.from(this.#text))
  }
  onInterimResponse(): void {}
  onResponseHead(head: ResponseHead, _: Buffer | null, isWhole: boolean): void {
    this.head = head
    if (isWhole) this.isEnded = true
  }
  onResponseData(bytes: Buffer): void {
    this.body += bytes.latin1Slice()
  }
  onResponseEnd(trailers: HeaderList | null): void {
    this.isEnded = true
    this.trailers = trailers
  }
  onSwitchedProtocols(): void {}
  onUpstreamFailure(failure: WireFailure): void {
    this.failure = failure
  }
  onUpstreamDrain(): void {}
  over(): Promise<void> {
    return waitUntil('the end', () => this.isEnded || this.failure !== null, 10_000)
  }
}

async function bench(onStream: (stream: ServerHttp2Stream) => void, settings: { maxConcurrentStreams?: number } = {}) {
  const server: Http2Server = createServer({ settings })
  const sessions: ServerHttp2Session[] = []
  server.on('session', (session) => {
    session.on('error', () => undefined)
    sessions.push(session)
  })
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined)
    onStream(stream)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const deadlines = new Deadlines(undefined, 20)
  const figures = { created: 0, reused: 0, idle: 0, open: 0 }
  const pool = new Http2Pool(
    { size: 10, idleTimeoutMs: 60_000, maxRequests: 1000, maxHeadBytes: 8_192 },
    deadlines,
    new Outbox(),
    figures,
  )
  const { port } = server.address() as AddressInfo
  return {
    pool,
    port,
    sessions,
    figures,
    call: (body?: string, readMs?: number) => new Call(pool, port, body, readMs),
    [Symbol.dispose]() {
      for (const session of sessions) session.destroy()
      server.close()
      deadlines.close()
    },
  }
}

const echo = (stream: ServerHttp2Stream): void => {
  let body = ''
  stream.on('data', (part: Buffer) => (body += part.toString('latin1')))
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'x-a': '1' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(`echo ${body}`)
  })
}

test('calls share a connection, also while it is being opened; heads, bodies and trailers come back', async () => {
  using b = await bench(echo)
  const calls = ['a', 'b', 'c'].map((body) => b.call(body))
  await Promise.all(calls.map((call) => call.over()))
  const later = b.call('d')
  await later.over()
  assert.deepEqual(
    [...calls, later].map(({ body, head, trailers }) => [
      body,
      head?.status,
      head?.minor,
      trailers?.get('grpc-status'),
    ]),
    ['a', 'b', 'c', 'd'].map((body) => [`echo ${body}`, 200, 2, '0']),
  )
  assert.deepEqual([b.figures.created, b.figures.reused, b.sessions.length], [1, 3, 1])
})

test('a server that takes one call at a time gets a second connection for the second', async () => {
  const open: ServerHttp2Stream[] = []
  using b = await bench((stream) => void open.push(stream), { maxConcurrentStreams: 1 })
  const first = b.call('a')
  await waitUntil('the first', () => open.length === 1, 10_000)
  const second = b.call('b')
  await waitUntil('the second', () => open.length === 2, 10_000)
  for (const stream of open) echo(stream)
  await Promise.all([first.over(), second.over()])
  assert.equal(b.sessions.length, 2)
})

test('a call that was refused, or is behind the last of a GOAWAY, may go elsewhere whatever its method', async () => {
  using b = await bench((stream) => stream.close(7))
  const refused = b.call('a')
  await refused.over()
  assert.deepEqual([refused.failure?.code, refused.failure?.retryable], ['UPSTREAM_REFUSED', true])
  using g = await bench((stream) => (stream.id === 1 ? echo(stream) : stream.session!.goaway(0, 1)))
  await g.call('first').over()
  const behind = g.call('a')
  await behind.over()
  assert.equal(behind.failure?.code, 'UPSTREAM_REFUSED')
})

test('after a GOAWAY what is under way ends well, and the next call gets another connection', async () => {
  const open: ServerHttp2Stream[] = []
  using b = await bench((stream) => void open.push(stream))
  const first = b.call('a')
  await waitUntil('the first', () => open.length === 1, 10_000)
  open[0]!.session!.goaway(0, open[0]!.id)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const second = b.call('b')
  await waitUntil('the second', () => open.length === 2, 10_000)
  for (const stream of open) echo(stream)
  await Promise.all([first.over(), second.over()])
  assert.deepEqual([first.body, second.body, b.sessions.length], ['echo a', 'echo b', 2])
})

test('a server that is silent, breaks off, or is not there is a failure that says so', async () => {
  using b = await bench(() => undefined)
  const silent = b.call('a', 50)
  await silent.over()
  assert.equal(silent.failure?.code, 'UPSTREAM_TIMEOUT')
  const cut = b.call('a')
  await waitUntil('the call', () => b.sessions.length > 0, 10_000)
  await new Promise((resolve) => setTimeout(resolve, 50))
  for (const session of b.sessions) session.destroy()
  await cut.over()
  assert.deepEqual([cut.failure?.code, cut.failure?.retryable], ['UPSTREAM_CLOSED', true])
  // A port that was free a moment ago.
  const probe = connect(b.port, '127.0.0.1')
  const own = await new Promise<number>((resolve) => probe.once('connect', () => resolve(probe.localPort!)))
  probe.destroy()
  const absent = new Call(b.pool, own)
  await absent.over()
  assert.equal(absent.failure?.code, 'CONNECT_FAILED')
})
