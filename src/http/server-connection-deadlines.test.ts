import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectionBench, GET, POST, wait } from '../../test/support/connection-bench.ts'
import { settle } from '../../test/support/socket-pair.ts'

test('a head that is not complete in time gets 408', async () => {
  using b = await connectionBench()
  b.send('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ')
  await settle()
  b.pass(9_000)
  b.send('v')
  await settle()
  assert.deepEqual(b.refused, [])
  b.pass(2_000)
  await b.received.untilEnd()
  assert.match(b.received.text, /^HTTP\/1.1 408/)
})

test('bytes that trickle in do not extend the time for a head on a kept connection', async () => {
  using b = await connectionBench()
  b.send(GET('/1'))
  await b.received.untilText('/1')
  b.pass(30_000)
  for (let i = 0; i < 5; i++) {
    b.send('GETGET'[i]!)
    await settle()
    b.pass(2_500)
  }
  await b.received.untilEnd()
  assert.match(b.received.text, /408/)
})

test('a body that stops gets 408 between two reads, not over all', async () => {
  using b = await connectionBench(wait)
  b.send(POST('/', 10))
  for (let i = 0; i < 3; i++) {
    await settle()
    b.pass(15_000)
    assert.equal(b.requests[0]!.gone, null)
    b.send('x')
  }
  await settle()
  b.pass(21_000)
  assert.deepEqual([b.requests[0]!.gone!.code, b.requests[0]!.gone!.status], ['CLIENT_TIMEOUT', 408])
})

test('time in which the gateway itself does not read the body does not count', async () => {
  using b = await connectionBench((request) => request.connection.pauseBody())
  b.send(POST('/', 4) + 'ab')
  await b.received.until(() => b.requests.length === 1)
  await settle()
  b.pass(100_000)
  assert.equal(b.requests[0]!.gone, null)
  assert.equal(b.requests[0]!.body, '')
  b.connection.resumeBody()
  assert.equal(b.requests[0]!.body, 'ab')
  b.send('cd')
  await b.received.until(() => b.requests[0]!.isEnded)
  assert.equal(b.requests[0]!.body, 'abcd')
})

test('a paused body is not read from the kernel', async () => {
  using b = await connectionBench((request) => request.connection.pauseBody())
  const length = 20_000_000
  b.send(POST('/', length))
  await b.received.until(() => b.requests.length === 1)
  b.pair.client.write(Buffer.alloc(length, 'x'))
  await settle(200)
  assert.ok(b.pair.server.bytesRead < 500_000, `read ${b.pair.server.bytesRead} bytes`)
  b.connection.resumeBody()
  await b.received.until(() => b.requests[0]!.isEnded)
  assert.equal(b.requests[0]!.body.length, length)
})

test('an idle connection is closed after its time, also when its last response was slow to be read', async () => {
  using b = await connectionBench((request) => request.respond('y'.repeat(16_000_000)))
  b.pair.client.pause()
  b.send(GET('/1'))
  await b.received.until(() => b.requests.length === 1)
  await settle()
  b.pair.client.resume()
  await b.received.until(() => b.received.text.length > 16_000_000)
  await settle()
  b.pass(30_000)
  await settle()
  assert.equal(b.closes, 0)
  b.pass(11_000)
  await b.received.until(() => b.closes === 1)
})

test('a client that does not read is cut after the time for sending', async () => {
  using b = await connectionBench((request) =>
    request.connection.writeHead('HTTP/1.1 200 OK\r\n\r\n', Buffer.alloc(16_000_000, 'y')),
  )
  b.pair.client.pause()
  b.send(GET('/1'))
  await b.received.until(() => b.requests.length === 1)
  await settle()
  b.pass(31_000)
  assert.equal(b.requests[0]!.gone?.code, 'CLIENT_TIMEOUT')
})

test('a closing connection gives a slow reader the time to read what is still under way', async () => {
  using b = await connectionBench((request) => request.respond('y'.repeat(16_000_000)))
  b.pair.client.pause()
  b.send(GET('/1', 'Connection: close\r\n'))
  await b.received.until(() => b.requests.length === 1)
  await settle()
  b.pass(10_000)
  b.pair.client.resume()
  await b.received.untilEnd()
  assert.equal(b.received.text.length, 16_000_000 + 'HTTP/1.1 200 OK\r\nContent-Length: 16000000\r\n\r\n'.length)
  b.pass(3_000)
  await b.received.until(() => b.closes === 1)
})

test('a connection whose last request was read whole closes at once', async () => {
  using b = await connectionBench()
  b.send(GET('/1', 'Connection: close\r\n'))
  await b.received.untilEnd()
  await b.received.until(() => b.closes === 1)
  assert.equal(b.deadlines.size, 0)
})

test('a connection that refused what came reads on for a moment only', async () => {
  using b = await connectionBench()
  b.send('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nmore')
  await b.received.untilEnd()
  assert.equal(b.closes, 0)
  b.pass(3_000)
  await b.received.until(() => b.closes === 1)
  assert.equal(b.deadlines.size, 0)
})
