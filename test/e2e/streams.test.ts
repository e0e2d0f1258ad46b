/** TCP, TLS and UDP through a real gateway. */
import assert from 'node:assert/strict'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import path from 'node:path'
import { after, test } from 'node:test'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { makeCertificate } from '../support/certificates.ts'
import { freePorts } from '../support/free-port.ts'
import { startGateway } from '../support/gateway.ts'
import { waitUntil, within } from '../support/wait.ts'

const closers: (() => unknown)[] = []
after(async () => {
  for (const close of closers.toReversed()) await close()
})

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

async function listening<S extends Server>(server: S): Promise<S> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => server.close())
  return server
}

/** Answers each text with `NAME:text`, says `bye` at the client's end. */
function answering(name: string) {
  return (socket: Socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes: Buffer) => socket.write(`${name}:${bytes.toString()}`))
    socket.on('end', () => socket.end('bye'))
  }
}

const own = await makeCertificate(['own.test'])
const gatewayPair = await makeCertificate(['gateway.test'])
const plain = await listening(createServer({ allowHalfOpen: true }, answering('plain')))
const other = await listening(createServer({ allowHalfOpen: true }, answering('other')))
const secure = await listening(createTlsServer({ cert: own.cert, key: own.key }, answering('secure')))
const silent = await listening(createServer(() => undefined))
/** What the plugin tcp-log sent. */
let records = ''
const collector = await listening(
  createServer((socket) => void socket.on('data', (bytes) => (records += String(bytes)))),
)
const echo: UdpSocket = createSocket('udp4', (bytes, from) =>
  echo.send(`udp:${bytes.toString()}`, from.port, from.address),
)
echo.bind(0, '127.0.0.1')
await once(echo, 'listening')
closers.push(() => echo.close())
const [tcp = 0, restricted = 0, tls = 0, udp = 0, dead = 0, retried = 0, slow = 0] = await freePorts(7)
const at = (port: number) => ({ destinations: [{ port }] })
const gateway = await startGateway({
  settings: {
    stream_listen: [
      ...[tcp, restricted, retried, slow].map((port) => `127.0.0.1:${port}`),
      `127.0.0.1:${tls} ssl`,
      `127.0.0.1:${udp} udp`,
    ].join(', '),
    proxy_stream_access_log: 'logs/sessions.log',
  },
  declarative: {
    _format_version: '3.0',
    services: [
      {
        name: 'plain',
        url: `tcp://127.0.0.1:${portOf(plain)}`,
        routes: [{ name: 'tcp', protocols: ['tcp'], ...at(tcp) }],
        plugins: [{ name: 'tcp-log', protocols: ['tcp'], config: { host: '127.0.0.1', port: portOf(collector) } }],
      },
      {
        name: 'restricted',
        url: `tcp://127.0.0.1:${portOf(plain)}`,
        routes: [
          {
            name: 'restricted',
            protocols: ['tcp'],
            ...at(restricted),
            plugins: [{ name: 'ip-restriction', protocols: ['tcp'], config: { deny: ['127.0.0.1'] } }],
          },
        ],
      },
      {
        name: 'slow',
        url: `tcp://127.0.0.1:${portOf(silent)}`,
        read_timeout: 300,
        routes: [{ protocols: ['tcp'], ...at(slow) }],
      },
      {
        name: 'ended',
        url: `tcp://127.0.0.1:${portOf(other)}`,
        routes: [{ name: 'ended', protocols: ['tls'], snis: ['gateway.test'] }],
      },
      {
        name: 'anew',
        url: `tls://127.0.0.1:${portOf(secure)}`,
        routes: [{ name: 'anew', protocols: ['tls'], snis: ['anew.test'] }],
      },
      {
        name: 'through',
        url: `tcp://127.0.0.1:${portOf(secure)}`,
        routes: [{ name: 'through', protocols: ['tls_passthrough'], snis: ['own.test'] }],
      },
      {
        name: 'datagrams',
        url: `udp://127.0.0.1:${echo.address().port}`,
        routes: [{ protocols: ['udp'], ...at(udp) }],
      },
      {
        name: 'balanced',
        host: 'balanced',
        port: 1,
        protocol: 'tcp',
        routes: [{ protocols: ['tcp'], ...at(retried) }],
      },
    ],
    upstreams: [
      {
        name: 'balanced',
        targets: [{ target: `127.0.0.1:${dead}` }, { target: `127.0.0.1:${portOf(plain)}` }],
      },
    ],
    certificates: [
      { cert: gatewayPair.cert, key: gatewayPair.key, snis: [{ name: 'gateway.test' }, { name: 'anew.test' }] },
    ],
  },
})
closers.push(() => gateway.stop())

/** All that comes back for a text, until the other side ends. */
async function talk(socket: Socket, text: string): Promise<string> {
  let answer = ''
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes: Buffer) => {
    answer += bytes.toString()
    if (answer.length === text.length + answer.indexOf(':') + 1) socket.end()
  })
  socket.write(text)
  socket.on('end', () => socket.end())
  // `once` would reject by the reset that a refused client sees.
  await within('the session to end', new Promise((resolve) => socket.once('close', resolve)))
  return answer
}

const dial = (port: number) => connect({ port, host: '127.0.0.1', allowHalfOpen: true })
const dialTls = (servername: string) =>
  connectTls({ port: tls, host: '127.0.0.1', servername, rejectUnauthorized: false })

test('TCP passes both ways, and each direction ends for itself', async () => {
  assert.equal(await talk(dial(tcp), 'hello'), 'plain:hellobye')
})

test('a plugin that logs tells of the session', async () => {
  await waitUntil('the record', () => records.includes('\n'))
  const record = JSON.parse(records.split('\n')[0]!) as Record<string, object>
  assert.partialDeepStrictEqual(record, {
    session: { received: 5, sent: 14, status: 200, server_port: tcp },
    client_ip: '127.0.0.1',
    service: { name: 'plain' },
    tries: [{ ip: '127.0.0.1', port: portOf(plain) }],
  })
  assert.ok(!('request' in record) && !('response' in record))
})

test('a plugin that refuses, and a port without a route, cut the connection', async () => {
  assert.equal(await talk(dial(restricted), 'hello'), '')
})

test('TLS is ended here, begun anew towards the upstream, or passed through, as the route of the name says', async () => {
  const shown = async (servername: string): Promise<[string, string]> => {
    const socket = dialTls(servername)
    await within('the handshake', once(socket, 'secureConnect'))
    const { subject } = socket.getPeerCertificate()
    return [String(subject.CN), (await talk(socket, 'hello')).split(':')[0]!]
  }
  assert.deepEqual(await shown('gateway.test'), ['gateway.test', 'other'])
  assert.deepEqual(await shown('anew.test'), ['gateway.test', 'secure'])
  assert.deepEqual(await shown('own.test'), ['own.test', 'secure'])
  const unknown: TLSSocket = dialTls('unknown.test')
  assert.equal(await talk(unknown, 'hello'), '')
})

test('what is no TLS at a TLS listener is cut', async () => {
  const answer = await talk(dial(tls), 'GET / HTTP/1.1\r\n\r\n')
  assert.ok(!answer.includes('secure') && !answer.includes('other'), answer)
})

test('a target that refuses is passed over, and one that says nothing is cut after read_timeout', async () => {
  for (let i = 0; i < 4; i++) assert.equal(await talk(dial(retried), 'hello'), 'plain:hellobye')
  assert.equal(await talk(dial(slow), 'hello'), '')
})

test('datagrams of a client are a session with one target', async () => {
  const client = createSocket('udp4')
  closers.push(() => client.close())
  const answers: string[] = []
  client.on('message', (bytes) => answers.push(bytes.toString()))
  for (const text of ['a', 'b', 'c']) client.send(text, udp, '127.0.0.1')
  await waitUntil('three answers', () => answers.length === 3)
  assert.deepEqual(answers.toSorted(), ['udp:a', 'udp:b', 'udp:c'])
})

test('10 MB pass unchanged through a slow reader', async () => {
  const source = await listening(
    createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.end(Buffer.alloc(10 * 1024 * 1024, 'abcdefg'))
    }),
  )
  // Its own gateway: the first one's configuration stays what the other tests want.
  const [port = 0] = await freePorts(1)
  await using _second = await startGateway({
    settings: { stream_listen: `127.0.0.1:${port}` },
    declarative: {
      _format_version: '3.0',
      services: [
        { name: 's', url: `tcp://127.0.0.1:${portOf(source)}`, routes: [{ protocols: ['tcp'], ...at(port) }] },
      ],
    },
  })
  const socket = dial(port)
  let size = 0
  let isRight = true
  socket.on('data', (bytes: Buffer) => {
    for (let i = 0; i < bytes.length; i += 997) isRight &&= bytes[i] === 'abcdefg'.charCodeAt((size + i) % 7)
    size += bytes.length
    socket.pause()
    setTimeout(() => socket.resume(), 1)
  })
  await within('the end', once(socket, 'end'))
  socket.destroy()
  assert.deepEqual([size, isRight], [10 * 1024 * 1024, true])
})

test('each session is a line in the log, and counted', async () => {
  const file = path.join(gateway.prefix, 'logs', 'sessions.log')
  await waitUntil('the lines', () => readFileSync(file, 'utf8').includes(' 403 '))
  const lines = readFileSync(file, 'utf8')
  assert.match(lines, /^127\.0\.0\.1 \[[^\]]+\] TCP 200 14 5 \d+\.\d{3}$/m)
  const metrics = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  assert.match(metrics, /meridian_stream_sessions_total\{[^}]*protocol="tcp",status="403"[^}]*\} 1/)
  assert.match(metrics, /meridian_stream_bytes_total\{[^}]*direction="ingress"/)
})
