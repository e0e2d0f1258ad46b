import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectionBench, GET, POST, respond, wait } from '../../test/support/connection-bench.ts'
import { Received, settle, tlsSocketPair } from '../../test/support/socket-pair.ts'

test('pipelined requests are answered in order, one at a time', async () => {
  using b = await connectionBench(wait)
  b.send(GET('/1') + POST('/2', 3) + 'abc' + GET('/3'))
  for (const count of [1, 2, 3]) {
    await b.received.until(() => b.requests.length === count && (count !== 2 || b.requests[1]!.isEnded))
    await settle()
    assert.equal(b.requests.length, count, 'the next request waits for the response before it')
    b.requests[count - 1]!.respond()
  }
  await b.received.untilText('/3')
  assert.deepEqual(b.received.text.match(/\/\d(?=HTTP|$)/g), ['/1', '/2', '/3'])
  assert.equal(b.requests[1]!.body, 'abc')
  assert.equal(b.connection.isIdle, true)
})

test('requests are read however their bytes are cut', async () => {
  using b = await connectionBench((request) => {
    if (request.connection.isRequestRead) request.respond()
    else request.onEnd = () => request.respond()
  })
  const text = '\r\n' + GET('/1', 'X-A: b\r\n') + POST('/2', 4) + 'wxyz\r\n' + GET('/3')
  for (const character of text) {
    b.send(character)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await b.received.untilText('/3')
  assert.deepEqual(
    b.requests.map(({ target, body }) => [target, body]),
    [
      ['/1', ''],
      ['/2', 'wxyz'],
      ['/3', ''],
    ],
  )
  assert.deepEqual(b.refused, [])
})

test('part of a head that follows an answered body stays as it came, whatever other connections read meanwhile', async () => {
  using b = await connectionBench()
  using other = await connectionBench()
  // The 404-like answer comes before the body is read; the rest of the same read is the beginning of the next request.
  b.send(POST('/1', 5) + 'helloGET /mine HT')
  await b.received.untilText('/1')
  other.send(GET('/' + 'o'.repeat(150)))
  await other.received.untilText('ooo')
  b.send('TP/1.1\r\nHost: a\r\n\r\n')
  await b.received.untilText('/mine')
  assert.deepEqual(
    b.requests.map(({ target }) => target),
    ['/1', '/mine'],
  )
})

test('a pipelined request that is held while another connection reads stays as it came', async () => {
  using b = await connectionBench(wait)
  using other = await connectionBench()
  b.send(GET('/1') + GET('/2'))
  await b.received.until(() => b.requests.length === 1)
  other.send(GET('/' + 'o'.repeat(150)))
  await other.received.untilText('ooo')
  b.requests[0]!.respond()
  await b.received.until(() => b.requests.length === 2)
  assert.equal(b.requests[1]!.target, '/2')
})

test('pipelined bytes beyond a limit are left in the kernel until the response is out', async () => {
  using b = await connectionBench(wait)
  b.send(GET('/1'))
  await b.received.until(() => b.requests.length === 1)
  const many = 40_000
  b.send(GET('/x').repeat(many))
  await settle(200)
  assert.ok(b.pair.server.bytesRead < 1_000_000, `read ${b.pair.server.bytesRead} bytes ahead`)
  assert.ok(b.pair.server.isPaused())
})

test('a body in chunks arrives with its trailers', async () => {
  using b = await connectionBench(wait)
  b.send(
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: v\r\n\r\n',
  )
  await b.received.until(() => b.requests[0]?.isEnded === true)
  assert.equal(b.requests[0]!.body, 'abcde')
  assert.equal(b.requests[0]!.trailers, 'X-T=v;')
})

test('a bad chunk ends the exchange with 400 and the connection with it', async () => {
  using b = await connectionBench(wait)
  b.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX')
  await b.received.until(() => b.requests[0]?.gone !== undefined && b.requests[0].gone !== null)
  const { gone, connection } = b.requests[0]!
  assert.deepEqual([gone!.code, gone!.status, gone!.source], ['BAD_CHUNK', 400, 'client'])
  assert.equal(connection.isLast, true)
})

test('a bad chunk behind an answer that closes makes no second answer', async () => {
  using b = await connectionBench(wait)
  b.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  await b.received.until(() => b.requests.length === 1)
  const request = b.requests[0]!
  request.onData = () => {
    request.onData = null
    request.connection.isLast = true
    request.respond('no')
  }
  b.send('3\r\nabc\r\n3\r\nabcX')
  await b.received.untilEnd()
  assert.equal(b.received.text.split('HTTP/1.1').length, 2)
  assert.deepEqual(b.refused, [])
})

test('what was not read of a body that is answered early is dropped, and the connection goes on', async () => {
  using b = await connectionBench()
  b.send(POST('/1', 10) + 'abcde')
  await b.received.untilText('/1')
  b.send('fghij' + GET('/2'))
  await b.received.untilText('/2')
  assert.equal(b.received.isEnded, false)
})

test('a rest of a body that costs more to read than a connection is not read', async () => {
  using b = await connectionBench()
  b.send(POST('/1', 1_000_000) + 'abcde')
  await b.received.untilEnd()
  assert.match(b.received.text, /200 OK/)
})

test('a rest of a body in chunks is read up to a limit, and nothing behind it is served', async () => {
  using b = await connectionBench()
  b.send('POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  await b.received.untilText('/1')
  b.send(`11170\r\n${'x'.repeat(0x11170)}\r\n0\r\n\r\n${GET('/2')}`)
  await b.received.untilEnd()
  assert.deepEqual(
    b.requests.map(({ target }) => target),
    ['/1'],
  )
})

test('a client that never sends the rest of an answered body is cut', async () => {
  using b = await connectionBench()
  b.send(POST('/1', 10))
  await b.received.untilText('/1')
  b.pass(3000)
  await b.received.until(() => b.closes === 1)
})

for (const [name, text] of [
  ['Connection: close', GET('/1', 'Connection: close\r\n')],
  ['HTTP/1.0', 'GET /1 HTTP/1.0\r\n\r\n'],
] as const) {
  test(`${name} ends the connection after the response`, async () => {
    using b = await connectionBench()
    b.send(text + GET('/2'))
    await b.received.untilEnd()
    assert.equal(b.requests.length, 1)
    assert.match(b.received.text, /\/1$/)
    b.pair.client.end()
    await b.received.until(() => b.closes === 1)
  })
}

test('HTTP/1.0 with keep-alive goes on', async () => {
  using b = await connectionBench()
  b.send('GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
  await b.received.untilText('/1')
  b.send('GET /2 HTTP/1.0\r\n\r\n')
  await b.received.untilEnd()
  assert.equal(b.requests.length, 2)
})

test('a connection ends after its number of requests', async () => {
  using b = await connectionBench(respond, { requestsPerConnection: 2 })
  b.send(GET('/1') + GET('/2') + GET('/3'))
  await b.received.untilEnd()
  assert.equal(b.requests.length, 2)
})

test('100-continue is the handler’s to send; in HTTP/1.0 nobody waits for it', async () => {
  using b = await connectionBench((request) => {
    if (request.head.expectsContinue) request.connection.writeInterim('HTTP/1.1 100 Continue\r\n\r\n')
  })
  b.send(POST('/1', 3, 'Expect: 100-continue\r\n'))
  await b.received.untilText('100 Continue')
  b.send('abc')
  await b.received.until(() => b.requests[0]!.isEnded)
  b.requests[0]!.respond()
  b.send('POST /2 HTTP/1.0\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n')
  await b.received.until(() => b.requests.length === 2)
  assert.equal(b.requests[1]!.head.expectsContinue, false)
})

test('a head sent in half and an end closes the connection without a request', async () => {
  using b = await connectionBench()
  b.send('GET / HTTP/1.1\r\nHo')
  b.pair.client.end()
  await b.received.until(() => b.closes === 1)
  assert.deepEqual([b.requests.length, b.refused.length, b.received.text], [0, 0, ''])
})

test('a client that goes away inside an exchange cancels it', async () => {
  using b = await connectionBench(wait)
  b.send(GET('/1'))
  await b.received.until(() => b.requests.length === 1)
  b.pair.client.resetAndDestroy()
  await b.received.until(() => b.closes === 1)
  assert.deepEqual([b.requests[0]!.gone!.code, b.requests[0]!.gone!.status], ['CLIENT_ABORTED', 499])
  assert.equal(b.deadlines.size, 0)
})

for (const [what, text, status] of [
  ['a request line over its limit before it ends', 'GET /' + 'x'.repeat(300), 414],
  ['a head over its limit before it ends', 'GET / HTTP/1.1\r\nX: ' + 'x'.repeat(1100), 400],
  ['a head over its limit that came whole', GET('/', `X: ${'x'.repeat(1100)}\r\n`), 400],
  ['a first byte that no method has, at once', '\x16\x03\x01', 400],
  ['a bare LF, at once', 'GET / HTTP/1.1\nHost: a', 400],
  ['a small letter, at once', 'get /', 400],
] as const) {
  test(`${what} gets ${status} and the end`, async () => {
    using b = await connectionBench()
    b.send(text)
    await b.received.untilEnd()
    assert.match(b.received.text, new RegExp(`^HTTP/1.1 ${status} `))
    assert.deepEqual([b.requests.length, b.refused.length], [0, 1])
  })
}

test('a request behind a refused one is not read', async () => {
  using b = await connectionBench()
  b.send('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n' + GET('/2'))
  await b.received.untilEnd()
  b.send(GET('/3'))
  await settle()
  assert.deepEqual([b.requests.length, b.refused.length], [0, 1])
})

test('draining closes an idle connection now and a busy one after its response', async () => {
  using idle = await connectionBench()
  using busy = await connectionBench(wait)
  busy.send(GET('/1'))
  await busy.received.until(() => busy.requests.length === 1)
  idle.connection.closeWhenDone()
  busy.connection.closeWhenDone()
  await idle.received.untilEnd()
  await settle()
  assert.equal(busy.received.isEnded, false)
  busy.requests[0]!.respond()
  await busy.received.untilEnd()
  assert.match(busy.received.text, /\/1$/)
})

test('a detached socket belongs to the handler, with what came behind the request', async () => {
  using b = await connectionBench(wait)
  b.send(GET('/1') + 'early')
  await b.received.until(() => b.requests.length === 1)
  await settle()
  let isOthers = false
  b.pair.server.on('close', () => (isOthers = true))
  const rest = b.connection.detach()
  assert.equal(rest?.toString(), 'early')
  assert.equal(b.deadlines.size, 0)
  const after = new Received(b.pair.server)
  b.send('late')
  await after.untilText('late')
  b.pair.client.end()
  await after.untilEnd()
  assert.equal(b.closes, 1)
  b.pair.server.destroy()
  await after.until(() => isOthers)
  assert.equal(b.closes, 1, 'is not told twice')
})

test('many responses of one turn go out in order', async () => {
  using b = await connectionBench()
  b.send(POST('/1', 0) + POST('/2', 0))
  await b.received.untilText('/2')
  b.send(Array.from({ length: 30 }, (_, i) => GET(`/n${i}n`)).join(''))
  await b.received.untilText('/n29n')
  assert.deepEqual(
    b.received.text.match(/\/n(\d+)n/g),
    Array.from({ length: 30 }, (_, i) => `/n${i}n`),
  )
})

test('a response over TLS in many writes of one turn arrives in order, and the connection goes on', async () => {
  const chunk = (letter: string, size: number) => `${size.toString(16)}\r\n${letter.repeat(size)}\r\n`
  using b = await connectionBench(
    ({ connection }) => {
      connection.writeHead('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', null)
      for (const [letter, size] of [
        ['a', 3],
        ['b', 20_000],
        ['c', 5000],
        ['d', 300_000],
      ] as const)
        connection.writeChunk(Buffer.alloc(size, letter))
      connection.endChunks(null)
      connection.endResponse()
    },
    {},
    tlsSocketPair,
  )
  for (const count of [1, 2]) {
    b.send(GET(`/${count}`))
    await b.received.untilText('\r\n0\r\n\r\n', count)
  }
  const body = chunk('a', 3) + chunk('b', 20_000) + chunk('c', 5000) + chunk('d', 300_000) + '0\r\n\r\n'
  assert.ok(b.received.text === `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`.repeat(2))
})
