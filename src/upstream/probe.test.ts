import assert from 'node:assert/strict'
import { createSecureServer, createServer as createHttp2, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { createSecureContext, createServer as createTls } from 'node:tls'
import { makeCertificate } from '../../test/support/certificates.ts'
import { compileProbe, type ProbeOptions, type ProbeOutcome } from './probe.ts'

const closing: (() => void)[] = []
after(() => {
  for (const close of closing) close()
})

const PLAIN = { context: createSecureContext(), servername: null, isVerified: true }

function options(change: Partial<ProbeOptions> = {}): ProbeOptions {
  return { type: 'http', path: '/', hostHeader: null, headers: {}, timeoutMs: 5000, tls: PLAIN, ...change }
}

async function listen(server: {
  listen: Server['listen']
  address: Server['address']
  close(): unknown
}): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()))
  closing.push(() => server.close())
  return (server.address() as AddressInfo).port
}

/** A server of bytes; the connections that stand are cut at the end. */
async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  return await listen(createServer(tracked(onConnection)))
}

function tracked(onConnection: (socket: Socket) => void): (socket: Socket) => void {
  return (socket) => {
    closing.push(() => socket.destroy())
    socket.on('error', () => socket.destroy())
    onConnection(socket)
  }
}

function ask(port: number, change: Partial<ProbeOptions> = {}, hostname = 'web.test'): Promise<ProbeOutcome> {
  return compileProbe(options(change))({ ip: '127.0.0.1', port, hostname }, new AbortController().signal)
}

const answering = (answer: string | Buffer) => serve((socket) => socket.once('data', () => socket.end(answer)))

test('the request is that of Kong, with the configured headers', async () => {
  let request = ''
  const port = await serve((socket) =>
    socket.on('data', (bytes) => {
      request += bytes.toString('latin1')
      if (request.endsWith('\r\n\r\n')) socket.end('HTTP/1.0 204 No Content\r\n\r\n')
    }),
  )
  assert.deepEqual(await ask(port, { path: '/up', headers: { 'x-a': ['1', '2'], 'x-b': ['3\r\nx-c: 4'] } }), {
    type: 'status',
    status: 204,
  })
  assert.equal(request, 'GET /up HTTP/1.0\r\nHost: web.test\r\nx-a: 1\r\nx-a: 2\r\nx-b: 3  x-c: 4\r\n\r\n')
  request = ''
  await ask(port, { hostHeader: 'fixed.test' })
  assert.equal(request, 'GET / HTTP/1.0\r\nHost: fixed.test\r\n\r\n')
  request = ''
  await ask(port, { headers: { Host: ['own.test'] } })
  assert.equal(request, 'GET / HTTP/1.0\r\nHost: own.test\r\n\r\n')
})

test('a status is a status, in however many pieces it comes', async () => {
  assert.deepEqual(await ask(await answering('HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno')), {
    type: 'status',
    status: 503,
  })
  const dripping = await serve((socket) => {
    socket.once('data', () => {
      const bytes = 'HTTP/1.1 200 OK\r\n'.split('')
      const next = () => {
        const byte = bytes.shift()
        if (byte !== undefined && !socket.destroyed) socket.write(byte, () => setImmediate(next))
      }
      next()
    })
  })
  assert.deepEqual(await ask(dripping), { type: 'status', status: 200 })
})

test('no answer, another protocol and a head without end are failures of the connection', async () => {
  const closed = await serve((socket) => socket.end())
  const reset = await serve((socket) => socket.resetAndDestroy())
  const endless = await serve((socket) => {
    socket.write('HTTP/')
    const more = () => {
      if (!socket.destroyed) socket.write('1'.repeat(1000), more)
    }
    more()
  })
  const unused = await serve(() => {})
  const [close] = closing.splice(closing.length - 1)
  close!()
  for (const port of [closed, reset, endless, unused, await answering('SSH-2.0-x\r\n'), await answering('HTTP/1.1 ')])
    assert.deepEqual(await ask(port), { type: 'tcp_failure' })
})

test('a target that says nothing, or not enough, is a time-out, and its connection is closed', async () => {
  for (const said of ['', 'HTTP/1.1 20']) {
    const gone = Promise.withResolvers<void>()
    const port = await serve((socket) => {
      socket.on('close', () => gone.resolve())
      socket.resume()
      if (said !== '') socket.write(said)
    })
    assert.deepEqual(await ask(port, { timeoutMs: 50 }), { type: 'timeout' })
    await gone.promise
  }
})

test('a probe that is cut off leaves no connection', async () => {
  const gone = Promise.withResolvers<void>()
  const there = Promise.withResolvers<void>()
  const port = await serve((socket) => {
    socket.on('close', () => gone.resolve())
    socket.on('data', () => there.resolve())
  })
  const abort = new AbortController()
  const outcome = compileProbe(options())({ ip: '127.0.0.1', port, hostname: 'x' }, abort.signal)
  await there.promise
  abort.abort()
  await gone.promise
  assert.deepEqual(await outcome, { type: 'tcp_failure' })
})

test('over TCP a connection is enough', async () => {
  assert.deepEqual(await ask(await serve(() => {}), { type: 'tcp' }), { type: 'success' })
  assert.deepEqual(await ask(1, { type: 'tcp' }), { type: 'tcp_failure' })
})

test('over TLS the name is https_sni or that of the target, and the certificate counts where it is verified', async () => {
  const authority = await makeCertificate(['authority'], { isAuthority: true })
  const { cert, key } = await makeCertificate(['sni.test'], { issuer: authority })
  const names: (string | false | null)[] = []
  const port = await listen(
    createTls({ cert, key, requestCert: true, rejectUnauthorized: false }, (socket) => {
      tracked(() => {})(socket)
      names.push(socket.servername)
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\n'))
    }).on('tlsClientError', () => {}),
  )
  const context = createSecureContext({ ca: authority.cert })
  const over = (servername: string | null, isVerified: boolean, hostname?: string) =>
    ask(port, { type: 'https', tls: { context, servername, isVerified } }, hostname)
  const ok = { type: 'status', status: 200 }
  assert.deepEqual(await over('sni.test', true), ok)
  assert.deepEqual(await over(null, true, 'sni.test'), ok)
  assert.deepEqual(await over(null, true), { type: 'tcp_failure' })
  assert.deepEqual(await over(null, false), ok)
  assert.deepEqual(await over(null, true, '127.0.0.1'), { type: 'tcp_failure' })
  assert.deepEqual(await over(null, false, '127.0.0.1'), ok)
  assert.deepEqual(names.slice(0, 2), ['sni.test', 'sni.test'])
  assert.equal(names.at(-1), false)
  assert.deepEqual(await ask(await serve((socket) => socket.end('no TLS')), { type: 'https' }), { type: 'tcp_failure' })
})

/** A server that answers each call by `answer`. */
async function serveGrpc(
  answer: (stream: ServerHttp2Stream) => void,
  server: Http2Server = createHttp2(),
): Promise<number> {
  server.on(
    'connection',
    tracked(() => {}),
  )
  server.on(
    'secureConnection',
    tracked(() => {}),
  )
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {})
    stream.resume()
    answer(stream)
  })
  return await listen(server)
}

function saying(message: readonly number[], status = '0') {
  return (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }))
    stream.end(Buffer.from([0, 0, 0, 0, message.length, ...message]))
  }
}

test('of gRPC only SERVING is well', async () => {
  const grpc = (answer: (stream: ServerHttp2Stream) => void) =>
    serveGrpc(answer).then((port) => ask(port, { type: 'grpc', timeoutMs: 2000 }))
  assert.deepEqual(await grpc(saying([8, 1])), { type: 'success' })
  const failures = [
    saying([8, 2]),
    saying([8, 3]),
    saying([]),
    saying([8, 1], '14'),
    saying([9, 1]),
    (stream: ServerHttp2Stream) => stream.respond({ ':status': 200, 'grpc-status': '12' }, { endStream: true }),
    (stream: ServerHttp2Stream) => stream.respond({ ':status': 404 }, { endStream: true }),
    (stream: ServerHttp2Stream) => stream.close(8),
    (stream: ServerHttp2Stream) => {
      stream.respond({ ':status': 200 })
      stream.end(Buffer.alloc(10_000))
    },
  ]
  for (const answer of failures) assert.deepEqual(await grpc(answer), { type: 'failure' })
  const silent = await serveGrpc(() => {})
  assert.deepEqual(await ask(silent, { type: 'grpc', timeoutMs: 50 }), { type: 'timeout' })
  assert.deepEqual(await ask(1, { type: 'grpc' }), { type: 'tcp_failure' })
  assert.deepEqual(await ask(await answering('HTTP/1.1 400 Bad\r\n\r\n'), { type: 'grpc' }), { type: 'failure' })
})

test('gRPC over TLS verifies as https does', async () => {
  const authority = await makeCertificate(['authority'], { isAuthority: true })
  const pair = await makeCertificate(['sni.test'], { issuer: authority })
  const port = await serveGrpc(saying([8, 1]), createSecureServer(pair))
  const tls = { context: createSecureContext({ ca: authority.cert }), servername: 'sni.test', isVerified: true }
  assert.deepEqual(await ask(port, { type: 'grpcs', tls }), { type: 'success' })
  assert.deepEqual(await ask(port, { type: 'grpcs', tls: { ...tls, servername: null } }), { type: 'tcp_failure' })
})
