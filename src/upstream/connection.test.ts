import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import { Deadlines } from '#core/deadlines.ts'
import type { WireFailure } from '#http/failure.ts'
import { Outbox } from '#http/outbox.ts'
import type { ResponseHead } from '#http/response-head.ts'
import { Received, settle } from '../../test/support/socket-pair.ts'
import type { ResponseSink, UpstreamConnection, UpstreamTimeouts } from './connection.ts'
import { ConnectionPool, poolKey, type PoolSettings } from './pool.ts'

const TIMEOUTS: UpstreamTimeouts = { connectMs: 1000, readMs: 10_000, writeMs: 20_000 }

/** One exchange as the proxy would see it. */
class SeenResponse implements ResponseSink {
  interim: number[] = []
  head: ResponseHead | null = null
  body = ''
  trailers = ''
  isEnded = false
  failure: WireFailure | null = null
  drains = 0
  switched: { socket: Socket; rest: string; restBytes: Buffer | null } | null = null
  isConnected = false
  /** Called with the head, before more of the body is handed over. */
  onHead: (() => void) | null = null

  onInterimResponse(head: ResponseHead): void {
    this.interim.push(head.status)
  }
  onResponseHead(head: ResponseHead, body: Buffer | null, isWhole: boolean): void {
    this.head = head
    if (body !== null) this.body += body.toString('latin1')
    if (isWhole) this.isEnded = true
    this.onHead?.()
  }
  onResponseData(bytes: Buffer): void {
    this.body += bytes.toString('latin1')
  }
  onResponseEnd(trailers: Iterable<readonly [string, string]> | null): void {
    this.isEnded = true
    for (const [name, value] of trailers ?? []) this.trailers += `${name}=${value};`
  }
  onSwitchedProtocols(head: ResponseHead, socket: Socket, rest: Buffer | null): void {
    this.head = head
    this.switched = { socket, rest: rest?.toString('latin1') ?? '', restBytes: rest }
  }
  onUpstreamFailure(failure: WireFailure): void {
    this.failure = failure
  }
  onUpstreamConnected(): void {
    this.isConnected = true
  }
  onUpstreamDrain(): void {
    this.drains++
  }
  get isOver(): boolean {
    return this.isEnded || this.failure !== null || this.switched !== null
  }
}

/** A target whose bytes the test writes, a pool, and a clock of its own. */
class Bench {
  readonly pool: ConnectionPool
  readonly deadlines: Deadlines
  readonly sockets: Socket[] = []
  readonly received: Received[] = []
  nowMs = 0
  readonly #server: Server

  constructor(server: Server, settings: Partial<PoolSettings>) {
    this.#server = server
    this.deadlines = new Deadlines(() => this.nowMs)
    this.pool = new ConnectionPool(
      { size: 2, idleTimeoutMs: 30_000, maxRequests: 100, maxHeadBytes: 65_536, ...settings },
      this.deadlines,
      new Outbox(),
    )
    server.on('connection', (socket: Socket) => {
      this.sockets.push(socket)
      this.received.push(new Received(socket))
    })
  }
  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }
  get key(): string {
    return poolKey('127.0.0.1', this.port, null)
  }
  /** Begins a request on an idle connection or a new one, and waits until the target has its head. */
  async request(sink: SeenResponse, method = 'GET', isBodyComplete = true): Promise<UpstreamConnection> {
    const idle = this.pool.take(this.key)
    const connection = idle ?? this.pool.open(this.key, '127.0.0.1', this.port, null)
    connection.begin(sink, method, TIMEOUTS, isBodyComplete)
    if (idle === null) await until(() => sink.isConnected || sink.failure !== null)
    const before = this.received.at(-1)?.text.length ?? 0
    connection.writeHead(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`, null)
    await until(() => (this.received.at(-1)?.text.length ?? 0) > before || sink.isOver)
    return connection
  }
  answer(text: string): void {
    this.sockets.at(-1)!.write(text, 'latin1')
  }
  pass(milliseconds: number): void {
    this.nowMs += milliseconds
    this.deadlines.advance()
  }
  [Symbol.dispose](): void {
    this.deadlines.close()
    this.pool.close()
    for (const socket of this.sockets) socket.destroy()
    this.#server.close()
  }
}

async function bench(settings: Partial<PoolSettings> = {}): Promise<Bench> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return new Bench(server, settings)
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!isTrue()) {
    assert.ok(Date.now() < deadline, 'the condition holds within 10 s')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Sends a request, answers it with these pieces, and tells what the exchange saw. */
async function exchange(
  b: Bench,
  pieces: readonly string[],
  method = 'GET',
): Promise<{ seen: SeenResponse; connection: UpstreamConnection }> {
  const seen = new SeenResponse()
  const connection = await b.request(seen, method)
  for (const piece of pieces) {
    b.answer(piece)
    await settle(5)
  }
  return { seen, connection }
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc'

for (const [what, text, body] of [
  ['a length', OK, 'abc'],
  ['length 0', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ''],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n', 'abc'],
  [
    'chunks and trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: v\r\n\r\n',
    'abc',
  ],
  ['no body by its status', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n', ''],
  ['HTTP/1.0 and keep-alive', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc', 'abc'],
] as const) {
  test(`a response with ${what} that ended cleanly lets the connection serve again, however it was cut`, async () => {
    using b = await bench()
    for (const pieces of [[text], text.match(/[^]{1,7}/g)!, text.split('').slice(0, 30).concat(text.slice(30))]) {
      const { seen, connection } = await exchange(b, pieces)
      await until(() => seen.isOver)
      assert.deepEqual([seen.failure, seen.body, connection.isReusable], [null, body, true])
      b.pool.release(connection)
    }
    assert.equal(b.sockets.length, 1)
    assert.deepEqual({ ...b.pool.figures }, { created: 1, reused: 2, idle: 1, open: 1 })
  })
}

test('a response head of exactly the allowed size is passed on, one byte more fails the exchange', async () => {
  const head = (size: number) => {
    const rest = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \r\n\r\n'
    return rest.replace('X: ', 'X: ' + 'x'.repeat(size - rest.length))
  }
  using b = await bench({ maxHeadBytes: 100_000 })
  const { seen: fits } = await exchange(b, [head(100_000)])
  await until(() => fits.isOver)
  assert.deepEqual([fits.failure, fits.head?.status], [null, 200])
  const { seen: tooLong } = await exchange(b, [head(100_001)])
  await until(() => tooLong.isOver)
  assert.equal(tooLong.failure?.code, 'HEADER_TOO_LARGE')
})

test('the answer to HEAD has no body, whatever its length says', async () => {
  using b = await bench()
  const { seen, connection } = await exchange(b, ['HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n'], 'HEAD')
  assert.deepEqual([seen.isEnded, seen.head?.contentLength, connection.isReusable], [true, 300, true])
})

for (const [what, text] of [
  ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc'],
  ['bytes behind its length', OK + 'H'],
  ['bytes behind its last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nH'],
  ['bytes behind a 204', 'HTTP/1.1 204 No Content\r\n\r\nabc'],
] as const) {
  test(`a response with ${what} is passed on, and its connection serves no other`, async () => {
    using b = await bench()
    const { seen, connection } = await exchange(b, [text])
    await until(() => seen.isOver)
    assert.deepEqual([seen.failure, seen.isEnded, connection.isReusable], [null, true, false])
    b.pool.release(connection)
    await until(() => b.received[0]!.isEnded)
    assert.equal(b.pool.take(b.key), null)
    assert.equal(b.pool.figures.idle, 0)
  })
}

test('an answer that comes before the request was sent whole forbids to use the connection again', async () => {
  using b = await bench()
  const seen = new SeenResponse()
  const connection = await b.request(seen, 'POST', false)
  b.answer(OK)
  await until(() => seen.isOver)
  assert.deepEqual([seen.body, connection.isReusable], ['abc', false])
})

test('a body that is delimited by the end of the connection ends with it', async () => {
  using b = await bench()
  const { seen, connection } = await exchange(b, ['HTTP/1.1 200 OK\r\n\r\nab', 'c'])
  assert.deepEqual([seen.body, seen.isEnded], ['abc', false])
  b.sockets[0]!.end()
  await until(() => seen.isOver)
  assert.deepEqual([seen.failure, connection.isReusable], [null, false])
})

test('a body that is delimited by the end is not complete after a reset', async () => {
  using b = await bench()
  const { seen } = await exchange(b, ['HTTP/1.1 200 OK\r\n\r\nabc'])
  b.sockets[0]!.resetAndDestroy()
  await until(() => seen.isOver)
  assert.deepEqual([seen.isEnded, seen.failure?.code, seen.failure?.retryable], [false, 'UPSTREAM_CLOSED', false])
})

for (const [when, pieces, isRetryable] of [
  ['before a byte came', [], true],
  ['inside the head', ['HTTP/1.1 200 O'], false],
  ['after 1xx', ['HTTP/1.1 103 Early Hints\r\n\r\n'], false],
  ['inside a length', ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'], false],
  ['inside a chunk', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab'], false],
  ['before the last chunk', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n'], false],
] as const) {
  test(`a connection that ends ${when} is a failure that ${isRetryable ? 'another target may mend' : 'is not retried'}`, async () => {
    using b = await bench()
    const { seen } = await exchange(b, pieces)
    b.sockets[0]!.end()
    await until(() => seen.isOver)
    const { code, status, source, retryable } = seen.failure!
    assert.deepEqual([code, status, source, retryable], ['UPSTREAM_CLOSED', 502, 'upstream', isRetryable])
    assert.equal(seen.isEnded, false)
  })
}

for (const [what, pieces, code] of [
  ['no HTTP', ['SSH-2.0-OpenSSH\r\n'], 'BAD_STATUS_LINE'],
  ['both framings', ['HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n'], 'BAD_FRAMING'],
  ['a bad chunk', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'x\r\n'], 'BAD_CHUNK'],
  ['a head without end', ['HTTP/1.1 200 OK\r\nX: ', 'x'.repeat(70_000)], 'HEADER_TOO_LARGE'],
  ['1xx without end', ['HTTP/1.1 100 Continue\r\n\r\n'.repeat(9)], 'BAD_FRAMING'],
] as const) {
  test(`an answer with ${what} is refused and the connection cut`, async () => {
    using b = await bench()
    const { seen } = await exchange(b, pieces)
    await until(() => seen.isOver)
    assert.deepEqual([seen.failure?.code, seen.failure?.status, seen.failure?.retryable], [code, 502, false])
    await until(() => b.received[0]!.isClosed || b.received[0]!.isEnded)
  })
}

test('interim responses come before the final one', async () => {
  using b = await bench()
  const { seen, connection } = await exchange(b, [
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early',
    ' Hints\r\nLink: x\r\n\r\n' + OK,
  ])
  assert.deepEqual([seen.interim, seen.body, connection.isReusable], [[100, 103], 'abc', true])
})

test('101 hands over the socket with bytes that stay what they are', async () => {
  using b = await bench()
  const { seen } = await exchange(b, ['HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nearly'])
  assert.equal(seen.switched?.rest, 'early')
  await exchange(b, ['HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n' + 'o'.repeat(300)])
  assert.equal(seen.switched.restBytes?.toString(), 'early')
  const after = new Received(seen.switched.socket)
  b.sockets[0]!.write('late')
  await after.untilText('late')
  assert.equal(b.pool.figures.open, 2)
  seen.switched.socket.destroy()
  await until(() => b.pool.figures.open === 1)
  assert.equal(seen.failure, null)
})

test('bytes that come while the connection rests end it', async () => {
  using b = await bench()
  const { connection } = await exchange(b, [OK])
  b.pool.release(connection)
  b.answer('HTTP/1.1 200 OK\r\n\r\n')
  await until(() => b.pool.figures.idle === 0)
  assert.equal(b.pool.take(b.key), null)
})

test('a connection that ended is not given out, not even in the turn in which it ends', async () => {
  using b = await bench()
  const { connection } = await exchange(b, [OK])
  b.pool.release(connection)
  connection.socket.destroy()
  assert.equal(b.pool.take(b.key), null)
  assert.deepEqual([b.pool.figures.idle, b.pool.figures.reused], [0, 0])
  await until(() => b.pool.figures.open === 0)
  assert.equal(b.pool.figures.idle, 0)
})

test('the newest connection serves first; more than the pool keeps are closed', async () => {
  using b = await bench()
  const all = [await exchange(b, [OK]), await exchange(b, [OK]), await exchange(b, [OK])]
  for (const { connection } of all) b.pool.release(connection)
  assert.equal(b.pool.figures.idle, 2)
  assert.equal(b.pool.take(b.key), all[1]!.connection)
  assert.equal(b.pool.take(b.key), all[0]!.connection)
  assert.equal(b.pool.take(b.key), null)
})

test('a connection rests for its time and serves its number of requests', async () => {
  using b = await bench({ maxRequests: 2 })
  const first = await exchange(b, [OK])
  b.pool.release(first.connection)
  b.pass(29_000)
  const second = await exchange(b, [OK])
  assert.equal(second.connection, first.connection)
  b.pool.release(second.connection)
  assert.equal(b.pool.figures.idle, 0)
  const third = await exchange(b, [OK])
  b.pool.release(third.connection)
  b.pass(31_000)
  await until(() => b.pool.figures.idle === 0 && b.pool.figures.open === 0)
  assert.equal(b.deadlines.size, 0)
})

test('a pool of size 0 keeps nothing', async () => {
  using b = await bench({ size: 0 })
  const { connection } = await exchange(b, [OK])
  b.pool.release(connection)
  await until(() => b.pool.figures.open === 0)
})

test('a target that does not answer in time is a time-out that may be retried; one that stops in its body is not', async () => {
  using b = await bench()
  const silent = new SeenResponse()
  await b.request(silent)
  b.pass(9_000)
  assert.equal(silent.failure, null)
  b.pass(2_000)
  assert.deepEqual(
    [silent.failure!.code, silent.failure!.status, silent.failure!.retryable],
    ['UPSTREAM_TIMEOUT', 504, true],
  )
  const { seen } = await exchange(b, ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'])
  b.pass(9_000)
  b.answer('c')
  await until(() => seen.body === 'abc')
  b.pass(9_000)
  assert.equal(seen.failure, null, 'the time is between two reads')
  b.pass(2_000)
  assert.deepEqual(
    [(seen.failure as WireFailure | null)?.code, (seen.failure as WireFailure | null)?.retryable],
    ['UPSTREAM_TIMEOUT', false],
  )
})

test('the time to answer begins when the request is sent whole', async () => {
  using b = await bench()
  const seen = new SeenResponse()
  const connection = await b.request(seen, 'POST', false)
  for (let i = 0; i < 5; i++) {
    b.pass(9_000)
    connection.writeChunk(Buffer.from('x'))
    await settle(5)
  }
  assert.equal(seen.failure, null)
  connection.endRequest()
  b.pass(11_000)
  assert.equal((seen.failure as WireFailure | null)?.code, 'UPSTREAM_TIMEOUT')
})

test('a target that takes no bytes is a time-out of writing', async () => {
  using b = await bench()
  const seen = new SeenResponse()
  const connection = await b.request(seen, 'POST', false)
  b.sockets[0]!.pause()
  while (connection.write(Buffer.alloc(1_000_000), false)) await settle(1)
  await settle()
  b.pass(19_000)
  assert.equal(seen.failure, null)
  b.pass(2_000)
  assert.match((seen.failure as WireFailure | null)?.detail ?? '', /write_timeout/)
})

test('a target that reads again takes the rest, and says so', async () => {
  using b = await bench()
  const seen = new SeenResponse()
  const connection = await b.request(seen, 'POST', false)
  b.sockets[0]!.pause()
  let written = 0
  do written += 1_000_000
  while (connection.write(Buffer.alloc(1_000_000, 'x'), false))
  b.sockets[0]!.resume()
  await until(() => seen.drains > 0)
  await b.received[0]!.until(() => b.received[0]!.text.length >= written)
  b.pass(25_000)
  assert.equal(seen.failure, null)
})

test('nobody who listens, and nobody who answers, are failures that another target may mend', async () => {
  using b = await bench()
  const refused = new SeenResponse()
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  b.pool.open('k', '127.0.0.1', port, null).begin(refused, 'GET', TIMEOUTS, true)
  await until(() => refused.isOver)
  assert.deepEqual(
    [refused.failure?.code, refused.failure?.status, refused.failure?.retryable],
    ['CONNECT_FAILED', 502, true],
  )
  assert.equal(b.pool.figures.open, 0)
})

test('a response is not read while it is paused, and loses nothing', async () => {
  using b = await bench()
  const length = 20_000_000
  const seen = new SeenResponse()
  const connection = await b.request(seen)
  seen.onHead = () => connection.pause()
  b.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n` + 'x'.repeat(length))
  await until(() => seen.head !== null)
  await settle(200)
  assert.ok(connection.socket.bytesRead < 1_000_000, `read ${connection.socket.bytesRead} bytes`)
  b.pass(100_000)
  assert.equal(seen.failure, null, 'time in which the client does not read is not the upstream’s')
  connection.resume()
  await until(() => seen.isOver)
  assert.deepEqual([seen.body.length, connection.isReusable], [length, true])
})

test('chunks that came with the head wait while the response is paused', async () => {
  using b = await bench()
  const seen = new SeenResponse()
  const connection = await b.request(seen)
  seen.onHead = () => connection.pause()
  b.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  await until(() => seen.head !== null)
  const other = await exchange(b, ['HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n' + 'o'.repeat(300)])
  assert.equal(other.seen.isEnded, true)
  assert.equal(seen.body, '')
  connection.resume()
  assert.equal(seen.body, 'abc')
  b.sockets[0]!.write('0\r\n\r\n')
  await until(() => seen.isOver)
  assert.equal(connection.isReusable, true)
})

test('destroy gives up without telling', async () => {
  using b = await bench()
  const seen = new SeenResponse()
  const connection = await b.request(seen)
  connection.destroy()
  await until(() => b.pool.figures.open === 0)
  assert.equal(seen.isOver, false)
  assert.equal(b.deadlines.size, 0)
})
