/** What callers of gRPC get when the server's connection of HTTP/2 misbehaves, what is tried again, and that nothing is left over. */
import assert from 'node:assert/strict'
import { connect, createServer, type ClientHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { waitUntil, within } from '../support/wait.ts'

const NO_ERROR = 0
const INTERNAL_ERROR = 2
const ENHANCE_YOUR_CALM = 11
const READ_TIMEOUT_MS = 1500

type Fault = (stream: ServerHttp2Stream) => void

const answer = (stream: ServerHttp2Stream): void => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(Buffer.from([0, 0, 0, 0, 0]))
}

/** The outcome is the status of gRPC, 'reset' where the answer breaks off, and how often the server was asked. */
const table: Readonly<Record<string, { readonly fault: Fault; readonly expected: string; readonly asked: number }>> = {
  'answers, with a GOAWAY in the middle': {
    fault: (stream) => {
      stream.session!.goaway(NO_ERROR, stream.id)
      answer(stream)
    },
    expected: '0',
    asked: 1,
  },
  'says that it has not looked at the call': {
    // The first call of the connection that follows is answered.
    fault: (stream) => (stream.id === 1 ? answer(stream) : stream.session!.goaway(NO_ERROR, stream.id! - 2)),
    expected: '0',
    asked: 2,
  },
  'refuses the stream': { fault: (stream) => stream.close(7), expected: '13', asked: 2 },
  'resets the stream': { fault: (stream) => stream.close(INTERNAL_ERROR), expected: '13', asked: 1 },
  'ends the connection for a flood': {
    fault: (stream) => stream.session!.goaway(ENHANCE_YOUR_CALM, stream.id),
    expected: '4',
    asked: 1,
  },
  'cuts the connection before the head': { fault: (stream) => stream.session!.destroy(), expected: '13', asked: 1 },
  'cuts the connection within the message': {
    fault: (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
      stream.write(Buffer.from([0, 0, 0, 0, 9, 1]), () => setTimeout(() => stream.session!.destroy(), 50))
    },
    expected: 'reset',
    asked: 1,
  },
  'never answers': { fault: () => undefined, expected: '4', asked: 1 },
  'has no status': {
    fault: (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
      stream.end()
    },
    expected: 'none',
    asked: 1,
  },
}
const faults = Object.entries(table)

const server = createServer()
const sessions = new Set<object>()
const asked = new Map<string, number>()
let gateway: Gateway
let client: ClientHttp2Session

before(async () => {
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => session.destroy())
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined)
    stream.resume()
    const path = headers[':path']!
    asked.set(path, (asked.get(path) ?? 0) + 1)
    const row = faults[Number(path.slice(1))]
    if (path === '/storm') stream.close(INTERNAL_ERROR)
    else if (row === undefined) answer(stream)
    else row[1].fault(stream)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const ports = await freeGatewayPorts()
  gateway = await startGateway({
    ports,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy} http2`, overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          url: `grpc://127.0.0.1:${port}`,
          retries: 1,
          read_timeout: READ_TIMEOUT_MS,
          routes: [{ paths: ['/'], protocols: ['grpc'] }],
        },
      ],
    },
  })
  client = connect(gateway.proxyUrl)
  client.on('error', () => undefined)
})
after(async () => {
  client.destroy()
  await gateway.stop()
  server.close()
})

function call(path: string): Promise<string> {
  return within(
    `an end of ${path}`,
    new Promise((resolve) => {
      const stream = client.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      let status: unknown
      stream.on('response', (headers) => (status ??= headers['grpc-status']))
      stream.on('trailers', (trailers) => (status ??= trailers['grpc-status']))
      stream.on('error', () => resolve('reset'))
      stream.on('end', () => resolve(typeof status === 'string' ? status : 'none'))
      stream.resume()
      stream.end(Buffer.from([0, 0, 0, 0, 0]))
    }),
  )
}

for (const [at, [name, { expected, asked: times }]] of faults.entries())
  test(`a server that ${name}: ${expected}`, async () => {
    assert.equal(await call(`/${at}`), expected)
    assert.equal(asked.get(`/${at}`), times)
    assert.equal(await call('/well'), '0', 'the next call is served')
  })

test('a storm of resets from the server is an error each, and others are served over the same connection', async () => {
  const before_ = sessions.size
  const outcomes = await Promise.all(
    Array.from({ length: 400 }, async (_, at) => await call(at % 4 === 0 ? '/well' : '/storm')),
  )
  for (const [at, outcome] of outcomes.entries()) assert.equal(outcome, at % 4 === 0 ? '0' : '13')
  assert.ok(sessions.size <= before_ + 4, `${sessions.size} connections`)
})

test('nothing is left over', async () => {
  await waitUntil('no exchange is under way', async () => {
    const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
    return /^meridian_exchanges_in_flight 0$/m.test(page)
  })
})
