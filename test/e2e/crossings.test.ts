/** What becomes of a message that comes in one version of HTTP and goes on in the other: a table for each direction, byte by byte. */
import assert from 'node:assert/strict'
import {
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { HpackDecoder } from '#http/h2/hpack-decoder.ts'
import type { Field as DecodedField } from '#http/h2/hpack-fields.ts'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient } from '../support/raw-client.ts'
import { startRawUpstream, type Upstream } from '../support/upstream-server.ts'
import { within } from '../support/wait.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** What the upstream of HTTP/1.1 got, on all its connections. */
let got = ''
let answer = OK
let upstream: Upstream
let http2: Http2Server
let received: IncomingHttpHeaders[] = []
let trailersGot: IncomingHttpHeaders[] = []
let gateway: Gateway

before(async () => {
  upstream = await startRawUpstream((socket: Socket) => {
    let own = ''
    socket.on('data', (bytes: Buffer) => {
      got += bytes.toString('latin1')
      own += bytes.toString('latin1')
      if (!isWhole(own)) return
      own = ''
      socket.write(answer, 'latin1')
    })
  })
  http2 = createHttp2Server()
  http2.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    received.push(headers)
    stream.on('error', () => undefined)
    stream.on('trailers', (trailers) => trailersGot.push(trailers))
    stream.on('data', () => undefined)
    stream.on('end', () => {
      if (stream.destroyed) return
      if (headers[':path'] === '/hints') stream.additionalHeaders({ ':status': 103, link: '</a.css>' })
      stream.respond({ ':status': 200, 'x-answer': 'yes' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': 'yes' }))
      stream.end('ok')
    })
  })
  await new Promise<void>((resolve) => http2.listen(0, '127.0.0.1', resolve))
  const ports = await freeGatewayPorts()
  gateway = await startGateway({
    ports,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy} http2`, overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 'one',
          url: `http://127.0.0.1:${upstream.port}`,
          retries: 0,
          routes: [{ name: 'one', paths: ['/'], request_buffering: false }],
        },
        {
          name: 'two',
          url: `grpc://127.0.0.1:${(http2.address() as AddressInfo).port}`,
          retries: 0,
          routes: [{ name: 'two', hosts: ['two.test'], paths: ['/'] }],
        },
      ],
    },
  })
})
after(async () => {
  await gateway?.stop()
  await upstream.close()
  http2.close()
})

/** A request of HTTP/1.1 with all of its body. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  if (/\r\ntransfer-encoding: chunked/i.test(text.slice(0, end))) return /\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n$/.test(text)
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1]
  return text.length - end - 4 >= Number(length ?? 0)
}

type Field = readonly [name: string, value: string]

/** A header block without any table, and without any check. */
function block(fields: readonly Field[]): Buffer {
  const text = (value: string) => Buffer.concat([integer(value.length), Buffer.from(value, 'latin1')])
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))
}

/** RFC 7541 5.1, with seven bits. */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value])
  const bytes = [127]
  for (let rest = value - 127; ; rest >>= 7) {
    bytes.push(rest < 128 ? rest : (rest & 127) | 128)
    if (rest < 128) return Buffer.from(bytes)
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const TOO_MANY = { name: '', value: '' } as DecodedField

interface Seen {
  /** Heads of the response, interim ones and trailers among them; 'reset' for one that was refused. */
  readonly heads: readonly ReadonlyMap<string, string>[]
  readonly isReset: boolean
}

const [DATA, HEADERS, RESET, GOAWAY] = [0, 1, 3, 7]
const GET: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'gw.test'],
  [':path', '/x'],
]
const POST: readonly Field[] = [[':method', 'POST'], ...GET.slice(1)]

/** One request over HTTP/2, as its bytes; `rest` follows the head. */
async function cross(fields: readonly Field[], rest: readonly Buffer[] = []): Promise<Seen> {
  got = ''
  const client = await openRawClient(gateway.proxyPort)
  const head = frame(HEADERS, 4 | (rest.length === 0 ? 1 : 0), 1, block(fields))
  client.socket.write(
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, Buffer.alloc(0)), head, ...rest]),
  )
  const decoder = new HpackDecoder()
  const heads: Map<string, string>[] = []
  let unread = Buffer.alloc(0)
  const outcome = new Promise<Seen>((resolve) => {
    client.socket.on('data', (bytes: Buffer) => {
      unread = Buffer.concat([unread, bytes])
      while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
        const size = 9 + unread.readUIntBE(0, 3)
        const [type, flags] = [unread[3]!, unread[4]!]
        if (type === HEADERS) heads.push(fieldsOf(decoder, unread.subarray(9, size)))
        if (type === RESET || type === GOAWAY) resolve({ heads, isReset: true })
        if ((type === HEADERS || type === DATA) && (flags & 1) !== 0) resolve({ heads, isReset: false })
        unread = Buffer.from(unread.subarray(size))
      }
    })
    client.socket.on('close', () => resolve({ heads, isReset: true }))
  })
  const seen = await within('an outcome', outcome)
  client.close()
  return seen
}

function fieldsOf(decoder: HpackDecoder, bytes: Buffer): Map<string, string> {
  const fields: DecodedField[] = []
  assert.equal(decoder.decode(bytes, 0, bytes.length, fields, 100, 100_000, TOO_MANY), 0)
  return new Map(fields.map(({ name, value }) => [name, value]))
}

const statusOf = ({ heads }: Seen) => heads.at(-1)?.get(':status')

for (const [what, fields, wanted, unwanted] of [
  ['names stay in small letters', [...GET, ['x-own', '1']], /\r\nx-own: 1\r\n/, /X-Own/],
  [
    'pieces of a cookie become one',
    [...GET, ['cookie', 'a=1'], ['cookie', 'b=2']],
    /\r\ncookie: a=1; b=2\r\n/,
    /cookie: a=1\r/,
  ],
  ['te: trailers', [...GET, ['te', 'trailers']], /\r\nTE: trailers\r\n/, /te: trailers\r/],
  ['early-data', [...GET, ['early-data', '1']], /\r\nearly-data: 1\r\n/, /\0/],
  ['priority', [...GET, ['priority', 'u=1']], /\r\npriority: u=1\r\n/, /\0/],
  [
    'host stands for the authority',
    [...GET.slice(0, 2), GET[3]!, ['host', 'gw.test']],
    /^GET \/x HTTP\/1\.1\r\nHost: /,
    /\r\nhost: gw/,
  ],
  ['no pseudo-field goes on', GET, /^GET \/x HTTP\/1\.1\r\n/, /\r\n:/],
  ['the hop says that the client spoke HTTP/2', GET, /\r\nVia: 2 /, /Via: 1/],
] as readonly (readonly [string, readonly Field[], RegExp, RegExp])[])
  test(`from HTTP/2 to 1.1: ${what}`, async () => {
    assert.equal(statusOf(await cross(fields)), '200')
    assert.match(got, wanted)
    assert.doesNotMatch(got, unwanted)
  })

for (const [what, fields] of [
  ['CR and LF in a value', [...GET, ['a', '1\r\nx-own: y']]],
  ['CR alone in a value', [...GET, ['a', '1\rx']]],
  ['LF in a name', [...GET, ['a\nb', '1']]],
  ['a request in a value', [...GET, ['a', '1\r\n\r\nGET /admin HTTP/1.1\r\nHost: gw.test\r\n\r\n']]],
  ['NUL in a value', [...GET, ['a', '1\0']]],
  ['a colon in a name', [...GET, ['a: b\r\nc', '1']]],
  ['a capital letter in a name', [...GET, ['Transfer-Encoding', 'chunked']]],
  ['transfer-encoding', [...POST, ['transfer-encoding', 'chunked']]],
  ['connection', [...GET, ['connection', 'transfer-encoding']]],
  ['upgrade', [...GET, ['upgrade', 'h2c']]],
  ['te that asks for more', [...GET, ['te', 'trailers, chunked']]],
  ['several lengths', [...POST, ['content-length', '0'], ['content-length', '5']]],
  ['a length that is a list', [...POST, ['content-length', '5, 5']]],
  ['a length without a body', [...POST, ['content-length', '5']]],
  ['CR and LF in the path', [...GET.slice(0, 3), [':path', '/ HTTP/1.1\r\nx: y']]],
  ['CR and LF in the method', [[':method', 'GET / HTTP/1.1\r\nx: y\r\n'], ...GET.slice(1)]],
  ['CR and LF in the authority', [...GET.slice(0, 2), [':authority', 'a\r\nx: y'], GET[3]!]],
  ['no path', GET.slice(0, 3)],
  ['two paths', [...GET, [':path', '/y']]],
  ['a pseudo-field that nobody knows', [...GET, [':protocol', 'websocket']]],
  ['a pseudo-field behind others', [...GET.slice(0, 3), ['a', '1'], GET[3]!]],
] as readonly (readonly [string, readonly Field[]])[])
  test(`from HTTP/2 to 1.1 nothing goes on with ${what}`, async () => {
    const { isReset, heads } = await cross(fields)
    assert.ok(isReset || statusOf({ isReset, heads }) === '400', `status ${statusOf({ isReset, heads })}`)
    assert.equal(got, '')
  })

for (const [what, fields, status] of [
  [
    'a head over its limit',
    [...GET, ['a', 'x'.repeat(15_000)], ['b', 'x'.repeat(15_000)], ['c', 'x'.repeat(15_000)]],
    '400',
  ],
  ['a path over its limit', [...GET.slice(0, 3), [':path', `/${'x'.repeat(9000)}`]], '414'],
  ['a host and an authority that differ', [...GET, ['host', 'other.test']], '400'],
  ['an expectation that nobody knows', [...GET, ['expect', 'tea']], '417'],
] as readonly (readonly [string, readonly Field[], string])[])
  test(`from HTTP/2 to 1.1: ${what} is answered with ${status}`, async () => {
    const seen = await cross(fields)
    assert.ok(seen.isReset ? what.startsWith('a head') : statusOf(seen) === status, `status ${statusOf(seen)}`)
    assert.equal(got, '')
  })

test('from HTTP/2 to 1.1: a body without a length goes in chunks, with its trailers; those that would frame it are refused', async () => {
  const body = frame(DATA, 0, 1, Buffer.from('hello'))
  assert.equal(statusOf(await cross(POST, [body, frame(HEADERS, 5, 1, block([['x-sum', '1']]))])), '200')
  assert.match(got, /\r\nTransfer-Encoding: chunked\r\n[\s\S]*\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n$/)
  for (const name of ['content-length', 'transfer-encoding', ':path', 'X-Sum']) {
    const { isReset } = await cross(POST, [body, frame(HEADERS, 5, 1, block([[name, '1']]))])
    assert.ok(isReset, name)
    assert.doesNotMatch(got, /0\r\n(?:[^\r\n]+\r\n)*\r\n$/, name)
  }
})

test('from HTTP/2 to 1.1: a body of another length than was said never looks whole', async () => {
  for (const sent of ['hell', 'hello!']) {
    const { isReset } = await cross([...POST, ['content-length', '5']], [frame(DATA, 1, 1, Buffer.from(sent))])
    assert.ok(isReset, sent)
    assert.doesNotMatch(got, /\r\n\r\nhello/)
  }
})

test('from HTTP/2 to 1.1: expect: 100-continue is answered here, and does not go on', async () => {
  const seen = await cross(
    [...POST, ['content-length', '5'], ['expect', '100-continue']],
    [frame(DATA, 1, 1, Buffer.from('hello'))],
  )
  assert.equal(statusOf(seen), '200')
  assert.doesNotMatch(got, /expect/i)
})

for (const [what, response, check] of [
  [
    'names in small letters, nothing that was for the hop',
    'HTTP/1.1 200 OK\r\nX-Own: 1\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n',
    ({ heads: [head] }: Seen) => {
      assert.equal(head?.get('x-own'), '1')
      for (const name of ['connection', 'keep-alive', 'x-hop', 'X-Own']) assert.equal(head?.has(name), false, name)
    },
  ],
  [
    'no chunks, but trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n',
    ({ heads }: Seen) => {
      assert.equal(heads[0]?.has('transfer-encoding'), false)
      assert.equal(heads.at(-1)?.get('x-sum'), '1')
    },
  ],
  [
    'early hints, and no 100',
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n${OK}`,
    ({ heads }: Seen) =>
      assert.deepEqual(
        heads.map((head) => head.get(':status')),
        ['103', '200'],
      ),
  ],
  [
    '425 as it is',
    'HTTP/1.1 425 Too Early\r\nContent-Length: 0\r\n\r\n',
    (seen: Seen) => assert.equal(statusOf(seen), '425'),
  ],
] as const)
  test(`back from 1.1 to HTTP/2: ${what}`, async () => {
    answer = response
    try {
      check(await cross([...GET, ['te', 'trailers']]))
    } finally {
      answer = OK
    }
  })

/** One request over HTTP/1.1 to the service of HTTP/2. */
async function crossUp(...lines: string[]): Promise<{ text: string; headers: IncomingHttpHeaders | undefined }> {
  received = []
  trailersGot = []
  const client = await openRawClient(gateway.proxyPort, { allowHalfOpen: false })
  client.write(...lines)
  await within('an end', client.closed)
  return { text: client.received, headers: received[0] }
}
const head = (line: string, ...fields: string[]) => [line, 'Host: two.test', 'Connection: close', ...fields, '', '']

test('from HTTP/1.1 to 2: names in small letters, nothing for the hop, the host as authority', async () => {
  const { headers } = await crossUp(
    ...head('GET /x?y HTTP/1.1', 'X-OWN: 1', 'X-Hop: 1', 'Keep-Alive: 5', 'TE: trailers', 'Early-Data: 1').map((line) =>
      line.replace('Connection: close', 'Connection: close, X-Hop, TE'),
    ),
  )
  assert.equal(headers?.['x-own'], '1')
  assert.equal(headers[':path'], '/x?y')
  assert.equal(headers['early-data'], '1')
  assert.equal(headers['te'], 'trailers')
  for (const name of ['connection', 'keep-alive', 'x-hop', 'host', 'transfer-encoding'])
    assert.equal(headers[name], undefined, name)
  assert.match(String(headers['via']), /^1\.1 /)
})

test('from HTTP/1.1 to 2: chunks become frames, with their trailers; back, trailers and hints reach a client that takes them', async () => {
  const { text, headers } = await crossUp(
    ...head('POST /hints HTTP/1.1', 'Transfer-Encoding: chunked', 'TE: trailers', 'Trailer: X-Sum').slice(0, -1),
    '5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
  )
  assert.equal(headers?.['transfer-encoding'], undefined)
  assert.equal(trailersGot[0]?.['x-sum'], '1')
  assert.match(text, /^HTTP\/1\.1 103 [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\nHTTP\/1\.1 200 /)
  assert.match(text, /\r\n0\r\nx-trailer: yes\r\n\r\n$/)
})

test('from HTTP/1.1 to 2: 100-continue is answered here', async () => {
  const { text, headers } = await crossUp(
    ...head('POST /x HTTP/1.1', 'Content-Length: 5', 'Expect: 100-continue').slice(0, -1),
    'hello',
  )
  assert.equal(headers?.['expect'], undefined)
  assert.match(text, /HTTP\/1\.1 200 /)
})

for (const [what, ...lines] of [
  ['two lengths', 'Content-Length: 5', 'Content-Length: 6'],
  ['a length and chunks', 'Content-Length: 5', 'Transfer-Encoding: chunked'],
  ['a colon and a space', 'X-Own : 1'],
  ['a name like a pseudo-field', ':path: /admin'],
] as const)
  test(`from HTTP/1.1 to 2 nothing goes on with ${what}`, async () => {
    const { text, headers } = await crossUp(...head('POST /x HTTP/1.1', ...lines))
    assert.match(text, /^HTTP\/1\.1 400 /)
    assert.equal(headers, undefined)
  })
