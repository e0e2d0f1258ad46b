/** The PROXY protocol through a whole gateway: on listeners for HTTP, TLS and streams, and towards services. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { readProxyHeader, writeProxyHeader } from '#http/proxy-header.ts'
import { makeCertificate } from '../support/certificates.ts'
import { freePorts } from '../support/free-port.ts'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { RawClient } from '../support/raw-client.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { within } from '../support/wait.ts'

const TRUSTED = '127.0.0.1'
const OTHER = '127.0.0.2'
const named = { sourceIp: '203.0.113.9', sourcePort: 4711, destinationIp: '198.51.100.1', destinationPort: 443 }
const [V1, V2] = [writeProxyHeader(1, named), writeProxyHeader(2, named)]
const LOCAL = Buffer.concat([V2.subarray(0, 12), Buffer.from([0x20, 0, 0, 0])])

let upstream: Upstream
let gateway: Gateway
let [tcp, tls, through, told] = [0, 0, 0, 0]
const closers: (() => unknown)[] = []
/** What services of streams were told first, and by which of them. */
const headers: string[] = []

/** A server whose connections begin with a PROXY header, which it answers with; with a certificate it goes on in TLS. */
async function startTold(pair: { cert: string; key: string } | null): Promise<number> {
  const secure = pair === null ? null : createTlsServer(pair, (socket) => answer(socket))
  const answer = (socket: Socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes: Buffer) => socket.end(`${headers.at(-1)} then ${bytes.toString()}`))
  }
  const server = createServer((socket) => {
    socket.once('data', (bytes: Buffer) => {
      const header = readProxyHeader(bytes)
      assert.ok(header.state === 'read')
      headers.push(`${bytes[0] === 13 ? 'v2' : 'v1'} ${header.addresses?.sourceIp}:${header.addresses?.sourcePort}`)
      socket.pause()
      const rest = bytes.subarray(header.size)
      if (rest.length > 0) socket.unshift(rest)
      // TLS takes what is unread from the socket itself.
      if (secure !== null) return void secure.emit('connection', socket)
      answer(socket)
      socket.resume()
    })
    socket.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => server.close())
  return (server.address() as AddressInfo).port
}

/** A server of HTTP whose connections begin with a PROXY header; it answers what that says, and the number of the connection. */
async function startHttpTold(pair: { cert: string; key: string } | null): Promise<number> {
  const of = new WeakMap<Socket, string>()
  const answer = (request: IncomingMessage) =>
    of.get((request.socket as Socket & { readonly told?: Socket }).told ?? request.socket) ?? 'nothing'
  const http = pair === null ? createHttpServer() : createHttpsServer(pair)
  http.on('request', (request: IncomingMessage, response: ServerResponse) => void response.end(answer(request)))
  http.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    socket.end(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n${answer(request)}`,
    )
  })
  let connections = 0
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', (bytes: Buffer) => {
      const header = readProxyHeader(bytes)
      assert.ok(header.state === 'read')
      const { sourceIp, sourcePort, destinationIp, destinationPort } = header.addresses!
      const version = bytes[0] === 13 ? 'v2' : 'v1'
      of.set(socket, `${version} ${sourceIp}:${sourcePort} to ${destinationIp}:${destinationPort} #${++connections}`)
      socket.pause()
      const rest = bytes.subarray(header.size)
      if (rest.length > 0) socket.unshift(rest)
      http.emit('connection', socket)
      // TLS takes what is unread from the socket itself.
      if (pair === null) socket.resume()
    })
  })
  if (pair !== null)
    http.on('secureConnection', (secure: TLSSocket & { told?: Socket; readonly _parent?: Socket }) => {
      secure.told = secure._parent!
    })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => server.close())
  return (server.address() as AddressInfo).port
}

before(async () => {
  upstream = await startUpstream()
  closers.push(() => upstream.close())
  const pair = await makeCertificate(['told.test'])
  const [plainTold, tlsTold] = [await startTold(null), await startTold(pair)]
  const [httpTold, httpsTold] = [await startHttpTold(null), await startHttpTold(pair)]
  const ports = await freeGatewayPorts()
  ;[tcp = 0, tls = 0, through = 0, told = 0] = await freePorts(4)
  const at = (port: number) => ({ destinations: [{ port }] })
  gateway = await startGateway({
    ports,
    settings: {
      proxy_listen: `127.0.0.1:${ports.proxy} http2 proxy_protocol, 127.0.0.1:${ports.tls} ssl http2 proxy_protocol`,
      stream_listen: [
        `127.0.0.1:${tcp} proxy_protocol`,
        `127.0.0.1:${tls} ssl proxy_protocol`,
        `127.0.0.1:${through} ssl proxy_protocol`,
        `127.0.0.1:${told}`,
      ].join(', '),
      trusted_ips: TRUSTED,
      real_ip_header: 'proxy_protocol',
      client_header_timeout: '1s',
      ssl_handshake_timeout: '2s',
      overload_delay: '0',
    },
    declarative: {
      _format_version: '3.0',
      services: [
        { name: 'http', url: `http://127.0.0.1:${upstream.port}`, routes: [{ name: 'http', paths: ['/'] }] },
        {
          name: 'http-v1',
          url: `http://127.0.0.1:${httpTold}`,
          proxy_protocol: 'v1',
          routes: [{ name: 'http-v1', paths: ['/v1'] }],
        },
        {
          name: 'https-v2',
          url: `https://127.0.0.1:${httpsTold}`,
          proxy_protocol: 'v2',
          routes: [{ name: 'https-v2', paths: ['/v2'] }],
        },
        {
          name: 'v1',
          url: `tcp://127.0.0.1:${plainTold}`,
          proxy_protocol: 'v1',
          routes: [
            { name: 'tcp', protocols: ['tcp'], ...at(tcp), sources: [{ ip: named.sourceIp, port: named.sourcePort }] },
            { name: 'tls', protocols: ['tls'], ...at(tls) },
            { name: 'through', protocols: ['tls_passthrough'], ...at(through), snis: ['told.test'] },
          ],
        },
        {
          name: 'v2',
          url: `tls://127.0.0.1:${tlsTold}`,
          proxy_protocol: 'v2',
          routes: [{ name: 'told', protocols: ['tcp'], ...at(told) }],
        },
      ],
    },
  })
  closers.push(() => gateway.stop())
})
after(async () => {
  for (const close of closers.toReversed()) await close()
})

async function open(port: number, from = TRUSTED): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  await once(socket, 'connect')
  return socket
}

const REQUEST = 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

/** The address that the upstream was told of, by the header of the protocol that came before the request. */
async function addressTold(header: Buffer, from = TRUSTED): Promise<string[]> {
  const client = new RawClient(await open(gateway.proxyPort, from))
  client.socket.write(Buffer.concat([header, Buffer.from(REQUEST)]))
  const { status, body } = await client.response()
  client.close()
  assert.equal(status, 200)
  return addressesIn(body)
}

function addressesIn(body: string): string[] {
  const { headers: seen } = JSON.parse(body) as { headers: Record<string, string> }
  return [seen['x-real-ip'] ?? '', seen['x-forwarded-for'] ?? '']
}

for (const [what, header, from, expected] of [
  ['version 1', V1, TRUSTED, named.sourceIp],
  ['version 2', V2, TRUSTED, named.sourceIp],
  ['LOCAL, as health checks of balancers', LOCAL, TRUSTED, TRUSTED],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), TRUSTED, TRUSTED],
  ['version 2 of a peer that is not trusted', V2, OTHER, OTHER],
] as const)
  test(`the client's address: ${what}`, async () => {
    assert.deepEqual(await addressTold(header, from), [expected, expected])
  })

test('a header in pieces, with several requests on the connection', async () => {
  const client = new RawClient(await open(gateway.proxyPort))
  for (const byte of V1) {
    client.socket.write(Buffer.from([byte]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (let i = 0; i < 2; i++) {
    client.request('GET /x HTTP/1.1')
    const { body } = await client.response()
    assert.equal(addressesIn(body)[0], named.sourceIp)
  }
  client.request('GET /x HTTP/1.1', 'X-Forwarded-For: 198.51.100.77')
  assert.deepEqual(addressesIn((await client.response()).body), [named.sourceIp, `198.51.100.77, ${TRUSTED}`])
  client.close()
})

function askHttp2(session: ClientHttp2Session): Promise<string> {
  return within(
    'an answer over HTTP/2',
    new Promise((resolve, reject) => {
      let text = ''
      session.on('error', reject)
      const stream = session.request({ [constants.HTTP2_HEADER_PATH]: '/x' })
      stream.setEncoding('utf8')
      stream.on('data', (part: string) => (text += part))
      stream.on('error', reject)
      stream.on('end', () => {
        session.close()
        resolve(text)
      })
      stream.end()
    }),
  )
}

test('HTTP/2 without TLS behind the header', async () => {
  const socket = await open(gateway.proxyPort)
  socket.write(V2)
  const text = await askHttp2(connectHttp2('http://a.test', { createConnection: () => socket }))
  assert.equal(addressesIn(text)[0], named.sourceIp)
})

/** TLS behind the header. */
async function openTls(
  port: number,
  protocols: readonly string[],
  from = TRUSTED,
  servername = '',
): Promise<TLSSocket> {
  const socket = await open(port, from)
  socket.write(V2)
  const secure = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: [...protocols], servername })
  await within('a handshake', once(secure, 'secureConnect'))
  return secure
}

test('TLS behind the header, with both versions of HTTP, and from a peer that is not trusted', async () => {
  const http2 = await openTls(gateway.tlsPort, ['h2'])
  const text = await askHttp2(connectHttp2('https://a.test', { createConnection: () => http2 }))
  assert.equal(addressesIn(text)[0], named.sourceIp)
  for (const [from, expected] of [
    [TRUSTED, named.sourceIp],
    [OTHER, OTHER],
  ] as const) {
    const client = new RawClient(await openTls(gateway.tlsPort, ['http/1.1'], from))
    client.request('GET /x HTTP/1.1')
    assert.equal(addressesIn((await client.response()).body)[0], expected)
    client.close()
  }
})

test('a request that is refused is still of the client that the header names, and the gateway lives on', async () => {
  const client = new RawClient(await open(gateway.proxyPort))
  client.socket.write(Buffer.concat([V1, Buffer.from('NONSENSE\r\n\r\n')]))
  assert.equal((await client.response()).status, 400)
  client.close()
})

for (const [what, bytes] of [
  ['no header but a request', Buffer.from(REQUEST)],
  ['a header that is malformed', Buffer.from('PROXY TCP4 1.2.3.4 nowhere 1 2\r\nGET / HTTP/1.1\r\n\r\n')],
  ['a header that is too long', Buffer.concat([V2.subarray(0, 12), Buffer.from([0x21, 0x11, 0xff, 0xff])])],
  ['a header that does not end in time', V2.subarray(0, 20)],
  ['nothing at all', Buffer.alloc(0)],
  ['a hello of TLS', Buffer.from([22, 3, 1, 0, 1, 1])],
] as const)
  test(`${what}: the connection is closed without a word`, async () => {
    const all = [gateway.proxyPort, gateway.tlsPort, tcp].map(async (port) => {
      const client = new RawClient(await open(port))
      client.socket.write(bytes)
      await within(`the end of ${port}`, client.closed)
      assert.equal(client.received, '')
    })
    await Promise.all(all)
    assert.deepEqual(await addressTold(V1), [named.sourceIp, named.sourceIp])
  })

test('a client that ends in the middle of its header leaves nothing behind', async () => {
  for (const port of [gateway.proxyPort, gateway.tlsPort, tcp]) {
    const client = new RawClient(await open(port))
    client.socket.end(V1.subarray(0, 9))
    await within('the end', client.closed)
    assert.equal(client.received, '')
  }
})

async function talk(socket: Socket, text: string): Promise<string> {
  let answer = ''
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes: Buffer) => (answer += bytes.toString()))
  socket.write(text)
  await within('an end', once(socket, 'close'))
  return answer
}

const NAMED = `${named.sourceIp}:${named.sourcePort}`

test('streams are routed by the address in the header, and pass it on; that of a peer that is not trusted counts for nothing', async () => {
  const trusted = await open(tcp)
  trusted.write(V2)
  assert.equal(await talk(trusted, 'hello'), `v1 ${NAMED} then hello`)
  const other = await open(tcp, OTHER)
  other.write(V2)
  assert.equal(await talk(other, 'hello'), '')
})

test('streams over TLS, ended here and passed through, have the address of the header', async () => {
  assert.equal(await talk(await openTls(tls, []), 'hello'), `v1 ${NAMED} then hello`)
  const socket = await open(through)
  socket.write(V1)
  const hello = connectTls({ socket, servername: 'told.test', rejectUnauthorized: false })
  hello.on('error', () => undefined)
  await within('an end', once(socket, 'close'))
  assert.equal(headers.at(-1), `v1 ${NAMED}`)
})

test('a service over TLS is told before the handshake, with the address of the connection where nobody says more', async () => {
  const socket = await open(told)
  const port = (socket.address() as AddressInfo).port
  assert.equal(await talk(socket, 'hello'), `v2 ${TRUSTED}:${port} then hello`)
})

/** What a service of HTTP was told, in each of these requests of one client. */
async function toldOver(path: string, header: Buffer, requests: number): Promise<string[]> {
  const client = new RawClient(await open(gateway.proxyPort))
  client.socket.write(header)
  const answers: string[] = []
  for (let i = 0; i < requests; i++) {
    client.request(`GET ${path} HTTP/1.1`)
    const { status, body } = await client.response()
    assert.equal(status, 200)
    answers.push(body)
  }
  client.close()
  return answers
}

for (const [path, version] of [
  ['/v1', 'v1'],
  ['/v2', 'v2'],
] as const)
  test(`services of HTTP are told by ${version}, over connections that no other client shares`, async () => {
    const other = writeProxyHeader(2, { ...named, sourceIp: '203.0.113.10' })
    const told_ = [
      ...(await toldOver(path, V1, 2)),
      ...(await toldOver(path, other, 1)),
      ...(await toldOver(path, V2, 1)),
    ]
    const at = `to 127.0.0.1:${gateway.proxyPort}`
    const number = (text: string) => Number(text.split('#')[1])
    assert.deepEqual(
      told_.map((text) => text.split(' #')[0]),
      [NAMED, NAMED, `203.0.113.10:${named.sourcePort}`, NAMED].map((from) => `${version} ${from} ${at}`),
    )
    const [first, second, third, fourth] = told_.map(number)
    assert.equal(second, first, 'a client keeps its connection')
    assert.notEqual(third, first)
    // The same address and port again: nothing that it is told would differ.
    assert.equal(fourth, first)
  })

test('a WebSocket to a service that is to be told has a connection of its own', async () => {
  const [before_] = await toldOver('/v1', V1, 1)
  const client = new RawClient(await open(gateway.proxyPort))
  client.socket.write(V1)
  client.request(
    'GET /v1 HTTP/1.1',
    'Connection: upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  )
  await within('the end', client.closed)
  assert.match(client.received, /^HTTP\/1\.1 101 /)
  assert.match(client.received, new RegExp(`v1 ${NAMED} to `))
  assert.ok(!client.received.includes(before_!))
})
