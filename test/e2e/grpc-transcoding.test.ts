/** gRPC services for clients that don't speak gRPC, through a whole gateway: gRPC-Web in bytes and base64, JSON, and rules for HTTP. */
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { loadSync } from '@grpc/proto-loader'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { startGrpcServer, type GrpcServer, type Message } from '../support/grpc-server.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'

const PROTO = path.resolve(import.meta.dirname, '..', 'support', 'echo-http.proto')
const definition = loadSync(path.join(import.meta.dirname, '..', 'support', 'echo.proto'), { defaults: true })
const { Unary } = definition['meridian.test.Echo'] as any

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-grpc-'))
let upstream: GrpcServer
let plain: Upstream
let gateway: Gateway

before(async () => {
  upstream = await startGrpcServer()
  plain = await startUpstream((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>hello'))
  const ports = await freeGatewayPorts()
  writeFileSync(path.join(folder, 'broken.proto'), 'syntax = "proto3"; service {')
  const plugin = (name: string, config: object) => [{ name, config }]
  const route = (name: string, plugins: object[], more: object = {}) => ({
    name,
    paths: [`/${name}`],
    plugins,
    ...more,
  })
  gateway = await startGateway({
    ports,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy} http2`, overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 'echo',
          url: `grpc://127.0.0.1:${upstream.port}`,
          routes: [
            {
              name: 'web',
              paths: ['/meridian.test.Echo/'],
              plugins: plugin('grpc-web', { proto: PROTO, allow_origin_header: 'https://page.test' }),
            },
            route('stripped', plugin('grpc-web', { pass_stripped_path: true })),
            route('broken', plugin('grpc-web', { proto: path.join(folder, 'broken.proto') })),
            { name: 'gateway', paths: ['/v1'], plugins: plugin('grpc-gateway', { proto: PROTO }) },
            route('none', plugin('grpc-gateway', {})),
            route('broken-rules', plugin('grpc-gateway', { proto: path.join(folder, 'broken.proto') })),
          ],
        },
        {
          name: 'html',
          url: `http://127.0.0.1:${plain.port}`,
          routes: [route('html', plugin('grpc-web', {})), route('v2', plugin('grpc-gateway', { proto: PROTO }))],
        },
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
  await plain.close()
  rmSync(folder, { recursive: true, force: true })
})

const encode = (message: Partial<Message>): Buffer => Unary.requestSerialize(message)
const decode = (bytes: Buffer): Message => ({ ...Unary.responseDeserialize(bytes) })

function frame(flags: number, message: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head[0] = flags
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

function framesOf(bytes: Buffer): { flags: number; message: Buffer }[] {
  const frames: { flags: number; message: Buffer }[] = []
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32BE(at + 1)
    frames.push({ flags: bytes[at]!, message: bytes.subarray(at + 5, at + 5 + length) })
    at += 5 + length
  }
  return frames
}

async function call(
  at: string,
  options: { method?: string; type?: string; body?: Buffer | string; headers?: object } = {},
) {
  const { method = 'POST', type, body, headers = {} } = options
  const response = await fetch(`${gateway.proxyUrl}${at}`, {
    method,
    signal: AbortSignal.timeout(20_000),
    headers: { ...(type !== undefined && { 'content-type': type }), ...headers } as Record<string, string>,
    ...(body !== undefined && { body: typeof body === 'string' ? body : new Uint8Array(body) }),
  })
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) }
}

const WEB = '/meridian.test.Echo'
const hello = frame(0, encode({ text: 'hello', count: 1 }))

test('gRPC-Web in bytes: messages pass, and the trailers are the last frame', async () => {
  const { status, headers, bytes } = await call(`${WEB}/Unary`, {
    type: 'application/grpc-web+proto',
    body: hello,
    headers: { 'x-asked': 'this' },
  })
  assert.equal(status, 200)
  assert.equal(headers.get('content-type'), 'application/grpc-web+proto')
  assert.equal(headers.get('access-control-allow-origin'), 'https://page.test')
  const [message, trailers] = framesOf(bytes) as [any, any]
  assert.deepEqual(decode(message.message), { text: 'echo hello', count: 2 })
  assert.equal(trailers.flags, 0x80)
  const lines = trailers.message.toString().split('\r\n')
  assert.deepEqual(lines.slice(0, 2), ['grpc-status:0', 'grpc-message:OK'])
  assert.ok(lines.includes('x-trailer:yes') && lines.includes('x-asked:this'))
})

test('gRPC-Web in base64, also in parts, and streams of the server', async () => {
  const body = hello.subarray(0, 4).toString('base64') + hello.subarray(4).toString('base64')
  const one = await call(`${WEB}/Unary`, { type: 'application/grpc-web-text', body })
  assert.equal(one.headers.get('content-type'), 'application/grpc-web-text')
  const parts = one.bytes.toString().match(/[^=]+={0,2}/g) ?? []
  const frames = framesOf(Buffer.concat(parts.map((part) => Buffer.from(part, 'base64'))))
  assert.deepEqual(decode(frames[0]!.message), { text: 'echo hello', count: 2 })
  const many = await call(`${WEB}/Download`, {
    type: 'application/grpc-web',
    body: frame(0, encode({ text: 'x', count: 3 })),
  })
  assert.deepEqual(
    framesOf(many.bytes).map(({ flags, message }) => (flags === 0 ? decode(message).count : message.toString())),
    [0, 1, 2, 'grpc-status:0\r\ngrpc-message:OK\r\n'],
  )
})

test('JSON is translated with a .proto file, alone or in frames', async () => {
  const alone = await call(`${WEB}/Unary`, { type: 'application/json', body: '{"text":"hello","count":1}' })
  assert.deepEqual([alone.status, alone.headers.get('content-type')], [200, 'application/json'])
  assert.deepEqual(JSON.parse(alone.bytes.toString()), { text: 'echo hello', count: 2 })
  const framed = await call(`${WEB}/Download`, {
    type: 'application/grpc-web+json',
    body: frame(0, Buffer.from('{"text":"a","count":2}')),
  })
  assert.deepEqual(
    framesOf(framed.bytes).map(({ message }) => message.toString()),
    ['{"text":"a","count":0}', '{"text":"a","count":1}', 'grpc-status:0\r\ngrpc-message:OK\r\n'],
  )
})

test('a call that fails says so where a page can read it', async () => {
  const { status, headers, bytes } = await call(`${WEB}/Fail`, {
    type: 'application/grpc-web',
    body: frame(0, encode({ text: 'no such thing', count: 5 })),
  })
  assert.equal(status, 200)
  assert.equal(headers.get('content-type'), 'application/grpc-web')
  const told =
    bytes.length > 0 ? framesOf(bytes).at(-1)!.message.toString() : `grpc-status:${headers.get('grpc-status')}`
  assert.match(told, /^grpc-status:5/)
  if (bytes.length === 0) assert.match(headers.get('access-control-expose-headers') ?? '', /grpc-status/)
})

test('what is no gRPC-Web is refused before the upstream', async () => {
  const wrong: readonly (readonly [type: string | undefined, body: Buffer | string, message: RegExp, at?: string])[] = [
    ['text/plain', 'x', /unsupported content type/],
    [undefined, Buffer.from('x'), /unsupported content type/],
    ['application/grpc-web-text', '*', /not base64/],
    ['application/json', '{', /not JSON/],
    ['application/json', '{"count":"x"}', /count: expected a whole number/],
    ['application/json', '{}', /Unknown path/, `${WEB}/Nothing`],
    ['application/grpc-web+json', Buffer.from([0, 0, 0, 0, 9, 1]), /cut off/],
    ['application/grpc-web+json', Buffer.from([0, 255, 0, 0, 0]), /over the limit/],
    ['application/grpc-web+json', frame(1, Buffer.from('{}')), /compressed/],
    ['application/json', '{}', /require a .proto file/, `/stripped${WEB}/Unary`],
  ]
  for (const [type, body, message, at = `${WEB}/Unary`] of wrong) {
    const answer = await call(at, { ...(type !== undefined && { type }), body })
    assert.equal(answer.status, 400, answer.bytes.toString())
    assert.match(answer.bytes.toString(), message)
    assert.equal(answer.headers.get('access-control-allow-origin'), at.startsWith(WEB) ? 'https://page.test' : '*')
  }
  assert.equal((await call(`/broken/x`, { type: 'application/json', body: '{}' })).status, 500)
})

test('the path goes on whole, or stripped where that is configured', async () => {
  const whole = await call(`/stripped${WEB}/Unary`, { type: 'application/grpc-web', body: hello })
  assert.deepEqual(decode(framesOf(whole.bytes)[0]!.message), { text: 'echo hello', count: 2 })
})

test('over HTTP/1.1 the body ends without trailers', async () => {
  const socket = connectTcp(gateway.proxyPort, '127.0.0.1')
  socket.write('GET /v1/echo/a HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n')
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  assert.ok(text.endsWith('{"text":"echo a","count":1}\r\n0\r\n\r\n'), text)
})

test('preflights are answered', async () => {
  const web = await call(`${WEB}/Unary`, { method: 'OPTIONS' })
  assert.deepEqual([web.status, web.bytes.toString()], [200, 'OK'])
  assert.equal(web.headers.get('access-control-allow-methods'), 'POST')
  assert.equal(web.headers.get('access-control-allow-headers'), 'content-type,x-grpc-web,x-user-agent')
  assert.equal(web.headers.get('content-type'), 'application/grpc-web-text+proto')
  const rest = await call('/v1/echo', { method: 'OPTIONS' })
  assert.equal(rest.headers.get('access-control-allow-methods'), 'GET,POST,PATCH,DELETE')
  assert.equal(rest.headers.get('access-control-allow-origin'), '*')
})

test('rules for HTTP make calls of requests, and JSON of messages', async () => {
  const json = async (method: string, at: string, body?: string) => {
    const answer = await call(at, { method, ...(body !== undefined && { body, type: 'application/json' }) })
    assert.equal(answer.status, 200, answer.bytes.toString())
    assert.equal(answer.headers.get('content-type'), 'application/json')
    return answer.bytes.toString()
  }
  assert.equal(await json('GET', '/v1/echo/hello%20you?count=4&other=1'), '{"text":"echo hello you","count":5}')
  assert.equal(await json('POST', '/v1/echo', '{"text":"x","count":7}'), '{"text":"echo x","count":8}')
  assert.equal(
    await json('GET', '/v1/shelves/shelves/1/books/2/3:read'),
    '{"text":"echo shelves/1/books/2/3","count":1}',
  )
  assert.equal(await json('GET', '/v1/many/a/2'), '{"text":"a","count":0}{"text":"a","count":1}')
})

test('a status of gRPC becomes one of HTTP, or the response is cut', async () => {
  for (const [code, status] of [
    [5, 404],
    [16, 401],
    [14, 503],
  ] as const) {
    const answer = await call(`/v1/fail/${code}`, { method: 'DELETE' }).catch((error: unknown) => error as Error)
    if (answer instanceof Error) assert.fail(`cut instead of ${status}`)
    assert.equal(answer.status, status)
    assert.equal(answer.headers.get('grpc-status'), String(code))
  }
})

test('what no rule is for, and what does not fit, is refused', async () => {
  const wrong: readonly (readonly [method: string, at: string, body: string | undefined, message: RegExp])[] = [
    ['GET', '/v1/nothing', undefined, /Unknown path "\/v1\/nothing"/],
    ['PUT', '/v1/echo', '{}', /Unknown path/],
    ['POST', '/v1/echo', '[]', /body must be a table/],
    ['POST', '/v1/echo', '{', /not JSON/],
    ['POST', '/v1/echo', '{"count":1.5}', /count: expected a whole number/],
    ['GET', '/v1/many/a/b', undefined, /count: expected a whole number/],
    ['GET', '/none/x', undefined, /require a .proto file/],
  ]
  for (const [method, at, body, message] of wrong) {
    const answer = await call(at, { method, ...(body !== undefined && { body }) })
    assert.equal(answer.status, 400, at)
    assert.match(answer.bytes.toString(), message)
  }
  assert.equal((await call('/broken-rules/x', { method: 'GET' })).status, 500)
})

test('an upstream that is no gRPC server is passed on as it is', async () => {
  const answer = await call('/html', { type: 'application/grpc-web', body: hello })
  assert.equal(answer.status, 200)
  assert.match(answer.headers.get('content-type') ?? '', /^text\/html/)
  assert.equal(answer.bytes.toString(), '<p>hello')
})

test('clients that are none of gRPC get no trailers behind the body', async () => {
  const session = connect(gateway.proxyUrl)
  try {
    const ask = async (head: Record<string, string>, body: Buffer | undefined) => {
      const request = session.request(head)
      let trailers: object | null = null
      const chunks: Buffer[] = []
      request.on('trailers', (got) => (trailers = got))
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.setTimeout(20_000, () => request.destroy(new Error('no answer in time')))
      request.end(body)
      await new Promise((resolve, reject) => request.once('close', resolve).once('error', reject))
      assert.equal(trailers, null)
      return Buffer.concat(chunks)
    }
    const web = { ':method': 'POST', ':path': `${WEB}/Unary`, 'content-type': 'application/grpc-web' }
    assert.equal(framesOf(await ask(web, hello)).at(-1)!.flags, 0x80)
    const rest = await ask({ ':method': 'GET', ':path': '/v1/echo/a' }, undefined)
    assert.equal(rest.toString(), '{"text":"echo a","count":1}')
  } finally {
    session.close()
  }
})
