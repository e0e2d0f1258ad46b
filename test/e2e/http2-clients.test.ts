/** HTTP/2 clients of a whole gateway, with Node's client as the judge: over TLS and plain, bodies both ways, plugins, ends. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  connect,
  constants,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { waitUntil } from '../support/wait.ts'

let upstream: Server
let gateway: Gateway
let answer: (request: IncomingMessage, response: ServerResponse) => void
let seen: IncomingMessage[] = []

before(async () => {
  upstream = createServer((request, response) => {
    seen.push(request)
    answer(request, response)
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const ports = await freeGatewayPorts()
  gateway = await startGateway({
    ports,
    settings: {
      proxy_listen: `127.0.0.1:${ports.proxy} http2, 127.0.0.1:${ports.tls} ssl http2`,
      proxy_access_log: 'access.log',
    },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
          routes: [
            { name: 'all', paths: ['/'], strip_path: false },
            {
              name: 'plugins',
              paths: ['/plugins'],
              plugins: [
                { name: 'key-auth' },
                { name: 'response-transformer', config: { add: { headers: ['x-added: yes'] } } },
              ],
            },
            {
              name: 'small',
              paths: ['/small'],
              plugins: [{ name: 'request-size-limiting', config: { allowed_payload_size: 1 } }],
            },
          ],
        },
      ],
    },
  })
})
after(async () => {
  await gateway?.stop()
  upstream.close()
})

function open(isTls = false): ClientHttp2Session & Disposable {
  const session = connect(isTls ? gateway.tlsUrl : gateway.proxyUrl, { rejectUnauthorized: false })
  session.on('error', () => undefined)
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() })
}

interface Answer {
  readonly headers: IncomingHttpHeaders & { ':status'?: number | undefined }
  readonly body: Buffer
  readonly trailers: IncomingHttpHeaders | null
  readonly code: number
}

function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: string | Buffer | null = null,
): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = session.request(headers, { endStream: body === null })
    const parts: Buffer[] = []
    let got: Answer['headers'] = {}
    let trailers: IncomingHttpHeaders | null = null
    stream.on('response', (fields) => (got = fields))
    stream.on('trailers', (fields) => (trailers = fields))
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('error', () => undefined)
    stream.on('close', () => resolve({ headers: got, body: Buffer.concat(parts), trailers, code: stream.rstCode }))
    if (body !== null) stream.end(body)
  })
}

const echo = (request: IncomingMessage, response: ServerResponse): void => {
  response.writeHead(200, { 'Content-Type': 'application/octet-stream' })
  request.pipe(response)
}
const plain = (_: IncomingMessage, response: ServerResponse): void => void response.end('fine')

for (const isTls of [false, true])
  test(`a request over ${isTls ? 'TLS, by ALPN' : 'a plain connection that begins with HTTP/2'} reaches an upstream of HTTP/1.1`, async () => {
    using session = open(isTls)
    answer = plain
    seen = []
    const { headers, body } = await ask(session, { ':path': '/a?b=1', cookie: ['a=1', 'b=2'], te: 'trailers' })
    assert.equal(headers[':status'], 200)
    assert.equal(body.toString(), 'fine')
    assert.match(headers['x-kong-request-id'] as string, /^[0-9a-f]{32}$/)
    assert.equal(headers.via, '1.1 meridian/0.1.0')
    assert.equal(headers.connection, undefined)
    const [request] = seen
    assert.equal(request!.url, '/a?b=1')
    assert.equal(request!.httpVersion, '1.1')
    assert.equal(request!.headers.cookie, 'a=1; b=2')
    assert.equal(request!.headers['x-forwarded-proto'], isTls ? 'https' : 'http')
    assert.match(request!.headers.via as string, /^2 meridian/)
    assert.equal(request!.headers['transfer-encoding'], undefined)
  })

test('HTTP/1.1 is served beside it on the same port', async () => {
  answer = plain
  const response = await fetch(gateway.proxyUrl)
  assert.equal(await response.text(), 'fine')
})

test('bodies pass both ways, larger than every window, on several streams at once', async () => {
  using session = open(true)
  answer = echo
  const bodies = [1_000_000, 3_000_000, 100, 70_000].map((size) => Buffer.alloc(size, String(size)))
  const answers = await Promise.all(bodies.map((body) => ask(session, { ':path': '/', ':method': 'POST' }, body)))
  for (const [n, { body }] of answers.entries()) assert.ok(body.equals(bodies[n]!), `${n}`)
})

test('a client that does not read holds up its own stream and no other', async () => {
  using session = open()
  await new Promise((resolve) => session.once('connect', resolve))
  // Else what the slow stream leaves unread takes up the client's window for all of them.
  session.setLocalWindowSize(1_000_000)
  answer = (request, response) =>
    void (request.url === '/big' ? response.end(Buffer.alloc(5_000_000)) : response.end('ok'))
  const slow = session.request({ ':path': '/big' })
  slow.pause()
  await new Promise((resolve) => slow.once('response', resolve))
  for (let n = 0; n < 20; n++) assert.equal((await ask(session, { ':path': '/other' })).body.toString(), 'ok')
  let size = 0
  slow.on('data', (part: Buffer) => (size += part.length))
  slow.resume()
  await new Promise((resolve) => slow.once('end', resolve))
  assert.equal(size, 5_000_000)
})

test('HEAD, 204 and 304 have no body; trailers of an upstream pass', async () => {
  using session = open()
  answer = (request, response) => {
    if (request.url === '/204') response.writeHead(204).end()
    else if (request.url === '/304') response.writeHead(304, { etag: '"x"' }).end()
    else if (request.url === '/trailers') {
      response.writeHead(200, { Trailer: 'x-sum' })
      response.write('part')
      response.addTrailers({ 'x-sum': '4' })
      response.end()
    } else response.writeHead(200, { 'content-length': '5' }).end()
  }
  const head = await ask(session, { ':path': '/head', ':method': 'HEAD' })
  assert.deepEqual([head.headers[':status'], head.headers['content-length'], head.body.length], [200, '5', 0])
  assert.equal((await ask(session, { ':path': '/204' })).headers[':status'], 204)
  assert.equal((await ask(session, { ':path': '/304' })).headers.etag, '"x"')
  const { body, trailers } = await ask(session, { ':path': '/trailers' })
  assert.equal(body.toString(), 'part')
  assert.equal(trailers?.['x-sum'], '4')
})

test('a client that waits for 100 gets it, one that sends trailers has them passed on', async () => {
  using session = open()
  seen = []
  answer = (request, response) => {
    request.resume()
    request.on('end', () => response.end(JSON.stringify(request.trailers)))
  }
  const stream = session.request({ ':path': '/', ':method': 'POST', expect: '100-continue' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'here' }))
  await new Promise<void>((resolve) => stream.once('continue', resolve))
  // Over what is read whole first, so that it goes on in chunks.
  stream.end(Buffer.alloc(200_000))
  let text = ''
  for await (const part of stream) text += String(part)
  assert.deepEqual(JSON.parse(text), { 'x-end': 'here' })
})

test('plugins work on streams as on connections', async () => {
  using session = open(true)
  answer = plain
  const refused = await ask(session, { ':path': '/plugins' })
  assert.equal(refused.headers[':status'], 401)
  assert.equal((JSON.parse(refused.body.toString()) as { message: string }).message, 'No API key found in request')
  assert.equal(refused.headers['x-added'], 'yes')
  answer = (request, response) => void request.resume().on('end', () => response.end('whole'))
  const large = await ask(session, { ':path': '/small', ':method': 'POST' }, Buffer.alloc(2_000_000))
  assert.equal(large.headers[':status'], 413)
  assert.equal((await ask(session, { ':path': '/' })).headers[':status'], 200)
})

test('a reset by the client cancels the request at the upstream; an upstream that breaks off is a reset for the client', async () => {
  using session = open()
  let isGone = false
  answer = (request) => void request.on('close', () => (isGone = true))
  const stream = session.request({ ':path': '/hang' })
  stream.on('error', () => undefined)
  const count = seen.length
  await waitUntil('the request', () => seen.length > count, 10_000)
  stream.close(constants.NGHTTP2_CANCEL)
  await waitUntil('the upstream to hear', () => isGone, 10_000)
  answer = (_, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half', () => response.destroy())
  }
  const cut = await ask(session, { ':path': '/cut' })
  assert.equal(cut.body.toString(), 'half')
  assert.equal(cut.code, constants.NGHTTP2_INTERNAL_ERROR)
})

test('what is sent that can not go on as HTTP/1.1 is answered or reset, and the connection serves on', async () => {
  using session = open()
  answer = plain
  const count = seen.length
  assert.equal(
    (await ask(session, { ':path': '/', ':authority': 'one.test', host: 'other.test' })).headers[':status'],
    400,
  )
  assert.equal((await ask(session, { ':path': '/a b' })).headers[':status'], 400)
  assert.equal((await ask(session, { ':path': '/', ':method': 'TRACE' })).headers[':status'], 405)
  assert.equal(seen.length, count)
  assert.equal((await ask(session, { ':path': '/' })).headers[':status'], 200)
})

test('the access log names the protocol; at the end a request under way is answered before the connection closes', async () => {
  using session = open()
  await waitUntil(
    'a line with HTTP/2.0',
    () => readFileSync(path.join(gateway.prefix, 'access.log'), 'utf8').includes('HTTP/2.0'),
    10_000,
  )
  let respond: () => void = () => undefined
  answer = (_, response) => (respond = () => void response.end('late'))
  const count = seen.length
  const pending = ask(session, { ':path': '/late' })
  await waitUntil('the request', () => seen.length > count, 10_000)
  const goaway = new Promise((resolve) => session.once('goaway', resolve))
  const stopped = gateway.stop()
  await goaway
  respond()
  assert.equal((await pending).body.toString(), 'late')
  await stopped
})
