/** A client's HTTP/2 connection by the frame: what ends it, what ends one stream, and what it may cost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Deadlines } from '#core/deadlines.ts'
import type { ClientSide } from '../client-side.ts'
import type { WireFailure } from '../failure.ts'
import type { HeaderList } from '../header-list.ts'
import { Outbox } from '../outbox.ts'
import type { RequestHead } from '../request-head.ts'
import { socketPair, tlsSocketPair } from '../../../test/support/socket-pair.ts'
import { waitUntil } from '../../../test/support/wait.ts'
import * as h2 from './frames.ts'
import { encodeRequestHead } from './hpack-encoder.ts'
import { RecentFloods } from './recent-floods.ts'
import { ServerSession } from './server-session.ts'

interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

interface Seen {
  readonly client: ClientSide
  readonly head: RequestHead
  body: string
  trailers: HeaderList | null
  isEnded: boolean
  gone: WireFailure | null
}

const frame = (type: number, flags: number, stream: number, payload: Buffer | string = '') => {
  const bytes = Buffer.from(payload as string, 'latin1')
  return Buffer.concat([Buffer.from(h2.frameHead(bytes.length, type, flags, stream), 'latin1'), bytes])
}
const block = (path = '/', method = 'GET') =>
  encodeRequestHead(`${method} ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`, 'http')
const headers = (stream: number, flags = h2.END_HEADERS | h2.END_STREAM, path = '/') =>
  frame(h2.HEADERS, flags, stream, block(path, (flags & h2.END_STREAM) === 0 ? 'POST' : 'GET'))
const uint32 = (value: number) => Buffer.from(h2.uint32(value), 'latin1')

async function bench(options: { respond?: boolean; limits?: object; isTls?: boolean; floods?: RecentFloods } = {}) {
  const pair = await (options.isTls ? tlsSocketPair() : socketPair())
  const deadlines = new Deadlines()
  const seen: Seen[] = []
  const resets: WireFailure[] = []
  const refused: WireFailure[] = []
  let isGone = false
  const answer = (client: ClientSide, status: number, text: string): void => {
    client.writeHead(`HTTP/1.1 ${status} X\r\nContent-Length: ${text.length}\r\n\r\n`, Buffer.from(text))
    client.endResponse()
  }
  const session = new ServerSession(
    pair.server,
    {
      onRequest(client, head) {
        const request: Seen = { client, head, body: '', trailers: null, isEnded: false, gone: null }
        seen.push(request)
        if (options.respond) answer(client, 200, 'ok')
        return {
          onRequestData: (bytes) => void (request.body += bytes.latin1Slice()),
          onRequestEnd: (trailers) => {
            request.isEnded = true
            request.trailers = trailers
          },
          onClientGone: (failure) => void (request.gone = failure),
          onClientDrain: () => undefined,
        }
      },
      onBadRequest(client, failure) {
        refused.push(failure)
        answer(client, failure.status, 'bad')
      },
      onReset: (failure) => void resets.push(failure),
    },
    {
      requestLineBytes: 1000,
      headBytes: 4000,
      fields: 50,
      headTimeoutMs: 10_000,
      bodyTimeoutMs: 20_000,
      sendTimeoutMs: 30_000,
      idleTimeoutMs: 40_000,
      requestsPerConnection: 100_000,
      concurrentStreams: 10,
      ...options.limits,
    },
    deadlines,
    new Outbox(),
    { isTls: false, sni: null, tls: null, serverPort: 1, serial: 1, proxied: null },
    options.floods ?? new RecentFloods(),
    () => void (isGone = true),
  )
  let received = Buffer.alloc(0)
  const frames: Frame[] = []
  let isClosed = false
  pair.client.on('data', (bytes: Buffer) => {
    received = Buffer.concat([received, bytes])
    while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
      const length = received.readUIntBE(0, 3)
      frames.push({
        type: received[3]!,
        flags: received[4]!,
        stream: received.readUInt32BE(5),
        payload: received.subarray(9, 9 + length),
      })
      received = received.subarray(9 + length)
    }
  })
  pair.client.on('error', () => undefined)
  pair.client.on('close', () => void (isClosed = true))
  pair.client.on('end', () => pair.client.end())
  const send = (...parts: Buffer[]) => void pair.client.write(Buffer.concat(parts))
  send(h2.PREFACE, frame(h2.SETTINGS, 0, 0))
  const find = (type: number, stream: number) => frames.find((one) => one.type === type && one.stream === stream)
  return {
    pair,
    session,
    seen,
    resets,
    refused,
    frames,
    send,
    find,
    isGone: () => isGone,
    until: (what: string, isSo: () => boolean) => waitUntil(what, isSo, 10_000),
    /** The code of the GOAWAY that ended the connection. */
    async goaway(): Promise<number> {
      await waitUntil('the connection to end', () => isClosed, 10_000)
      return find(h2.GOAWAY, 0)!.payload.readUInt32BE(4)
    },
    async reset(stream: number): Promise<number> {
      await waitUntil('a reset', () => find(h2.RST_STREAM, stream) !== undefined, 10_000)
      return find(h2.RST_STREAM, stream)!.payload.readUInt32BE(0)
    },
    [Symbol.dispose]() {
      pair[Symbol.dispose]()
      deadlines.close()
    },
  }
}

test('a request with its body and trailers is answered, head, body and end in two frames', async () => {
  using b = await bench()
  b.send(headers(1, h2.END_HEADERS, '/p'), frame(h2.DATA, 0, 1, 'hel'), frame(h2.DATA, h2.PADDED, 1, '\x02lo..'))
  b.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, '\x00\x01t\x01v'))
  await b.until('the end', () => b.seen[0]?.isEnded === true)
  assert.equal(b.seen[0]!.body, 'hello')
  assert.equal(b.seen[0]!.trailers?.get('t'), 'v')
  b.seen[0]!.client.writeHead('HTTP/1.1 200 OK\r\n\r\n', Buffer.from('body'))
  b.seen[0]!.client.endResponse()
  await b.until('the answer', () => b.find(h2.DATA, 1) !== undefined)
  assert.equal(b.find(h2.DATA, 1)!.payload.latin1Slice(), 'body')
  assert.equal(b.find(h2.DATA, 1)!.flags, h2.END_STREAM)
  assert.equal(b.session.streams.size, 0)
})

test('a paused body holds what the window allows and no more, and goes on where it stopped', async () => {
  using b = await bench()
  b.send(headers(1, h2.END_HEADERS))
  await b.until('the request', () => b.seen.length === 1)
  b.seen[0]!.client.pauseBody()
  const part = 'x'.repeat(16_384)
  for (let n = 0; n < 8; n++) b.send(frame(h2.DATA, n === 7 ? h2.END_STREAM : 0, 1, part))
  b.send(frame(h2.PING, 0, 0, '12345678'))
  await b.until('the pong', () => b.frames.some(({ type }) => type === h2.PING))
  assert.equal(b.seen[0]!.body, '')
  assert.equal(b.find(h2.WINDOW_UPDATE, 1), undefined)
  b.seen[0]!.client.resumeBody()
  assert.equal(b.seen[0]!.body.length, 8 * 16_384)
  assert.equal(b.seen[0]!.isEnded, true)
})

test('a response waits for the windows of the client, stream and connection, and tells when it may go on', async () => {
  using b = await bench()
  b.send(frame(h2.SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), uint32(10)])), headers(1))
  await b.until('the request', () => b.seen.length === 1)
  const { client } = b.seen[0]!
  assert.equal(client.writeHead('HTTP/1.1 200 OK\r\n\r\n', Buffer.from('0123456789abcdef')), false)
  client.endResponse()
  await b.until('the first bytes', () => b.find(h2.DATA, 1) !== undefined)
  assert.equal(b.find(h2.DATA, 1)!.payload.latin1Slice(), '0123456789')
  b.send(frame(h2.WINDOW_UPDATE, 0, 1, uint32(100)))
  await b.until('the rest', () => b.frames.some(({ type, flags }) => type === h2.DATA && flags === h2.END_STREAM))
  const data = b.frames.filter(({ type }) => type === h2.DATA)
  assert.equal(Buffer.concat(data.map(({ payload }) => payload)).latin1Slice(), '0123456789abcdef')
})

test('a client that resets a request is gone for its exchange, and for nothing else', async () => {
  using b = await bench()
  b.send(headers(1), headers(3))
  await b.until('both', () => b.seen.length === 2)
  b.send(frame(h2.RST_STREAM, 0, 1, uint32(h2.CANCEL)))
  await b.until('the reset', () => b.seen[0]!.gone !== null)
  assert.equal(b.seen[0]!.gone!.code, 'CLIENT_ABORTED')
  assert.equal(b.seen[1]!.gone, null)
  assert.equal(b.session.streams.size, 1)
})

test('a request that is reset before anything else was read of it is not begun, and counted as given up', async () => {
  using b = await bench()
  b.send(
    headers(1),
    headers(3, h2.END_HEADERS),
    frame(h2.RST_STREAM, 0, 1, uint32(h2.CANCEL)),
    frame(h2.RST_STREAM, 0, 3, uint32(h2.CANCEL)),
    headers(5, h2.END_HEADERS),
    frame(h2.DATA, 0, 5, 'begun'),
    frame(h2.RST_STREAM, 0, 5, uint32(h2.CANCEL)),
    headers(7),
  )
  await b.until('the last', () => b.seen.length === 2)
  assert.equal(b.seen[0]!.body, 'begun')
  assert.notEqual(b.seen[0]!.gone, null)
  assert.equal(b.seen[1]!.gone, null)
  assert.deepEqual(
    b.resets.map(({ code }) => code),
    ['CLIENT_ABORTED', 'CLIENT_ABORTED'],
  )
})

test('requests that are reset behind many others are not begun either', async () => {
  using b = await bench({ limits: { concurrentStreams: 200 } })
  const ids = Array.from({ length: 100 }, (_, n) => 1 + 2 * n)
  b.send(...ids.map((id) => headers(id)), ...ids.map((id) => frame(h2.RST_STREAM, 0, id, uint32(h2.CANCEL))))
  b.send(headers(201))
  await b.until('the last', () => b.seen.length > 0)
  assert.equal(b.resets.length, 100)
  assert.equal(b.seen.length, 1)
})

test('a burst of requests is begun in parts, in order, and those that are reset meanwhile are not begun', async () => {
  using b = await bench({ limits: { concurrentStreams: 200 } })
  await b.until('the settings', () => b.frames.some(({ type, flags }) => type === h2.SETTINGS && flags === h2.ACK))
  const ids = Array.from({ length: 40 }, (_, n) => 1 + 2 * n)
  const whole = h2.END_HEADERS | h2.END_STREAM
  b.session.onBytes(Buffer.concat(ids.map((id) => headers(id, whole, `/${id}`))), false)
  assert.equal(b.seen.length, 16)
  await nextTurn()
  assert.equal(b.seen.length, 32)
  const resets = ids.slice(36).map((id) => frame(h2.RST_STREAM, 0, id, uint32(h2.CANCEL)))
  b.session.onBytes(Buffer.concat(resets), false)
  await nextTurn()
  assert.deepEqual(
    b.seen.map(({ head }) => head.rawPath),
    ids.slice(0, 36).map((id) => `/${id}`),
  )
  assert.equal(b.resets.length, 4)
})

test('a response before the end of the request is followed by NO_ERROR, and late bytes of it hurt nobody', async () => {
  using b = await bench({ respond: true })
  b.send(headers(1, h2.END_HEADERS))
  assert.equal(await b.reset(1), h2.NO_ERROR)
  b.send(frame(h2.DATA, 0, 1, 'late'), frame(h2.DATA, h2.END_STREAM, 1, 'r'), headers(3))
  await b.until('the next answer', () => b.find(h2.DATA, 3) !== undefined)
})

test('malformed requests are reset and counted, the connection goes on', async () => {
  using b = await bench({ respond: true })
  b.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, block() + '\x00\x11transfer-encoding\x07chunked'))
  assert.equal(await b.reset(1), h2.PROTOCOL_ERROR)
  b.send(frame(h2.HEADERS, h2.END_HEADERS, 3, block('/', 'POST') + '\x00\x0econtent-length\x015'))
  b.send(frame(h2.DATA, h2.END_STREAM, 3, 'four'))
  b.send(headers(5))
  await b.until('the answer', () => b.find(h2.DATA, 5) !== undefined)
  assert.deepEqual(
    b.resets.map(({ code }) => code),
    ['BAD_HEADER'],
  )
})

test('a body that is not as long as was said ends the exchange', async () => {
  using b = await bench()
  b.send(frame(h2.HEADERS, h2.END_HEADERS, 1, block('/', 'POST') + '\x00\x0econtent-length\x015'))
  await b.until('the request', () => b.seen.length === 1)
  b.send(frame(h2.DATA, h2.END_STREAM, 1, 'four'))
  assert.equal(await b.reset(1), h2.PROTOCOL_ERROR)
  assert.equal(b.seen[0]!.isEnded, false)
  assert.notEqual(b.seen[0]!.gone, null)
})

test('a head over its limit is answered, the table of the connection stays right', async () => {
  using b = await bench({ respond: true })
  const many = Array.from({ length: 60 }, (_, n) => `\x00\x02${String(n).padStart(2, 'x')}\x01v`).join('')
  b.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, block() + many), headers(3))
  await b.until('both answers', () => b.find(h2.DATA, 1) !== undefined && b.find(h2.DATA, 3) !== undefined)
  assert.deepEqual(
    b.refused.map(({ code, status }) => [code, status]),
    [['HEADER_TOO_LARGE', 400]],
  )
})

test('more streams at once than allowed are refused', async () => {
  using b = await bench()
  b.send(...Array.from({ length: 11 }, (_, n) => headers(1 + 2 * n)))
  assert.equal(await b.reset(21), h2.REFUSED_STREAM)
  assert.equal(b.seen.length, 10)
})

const floods: readonly (readonly [string, () => Buffer[]])[] = [
  [
    'rapid resets',
    () =>
      Array.from({ length: 2500 }, (_, n) =>
        Buffer.concat([headers(1 + 2 * n), frame(h2.RST_STREAM, 0, 1 + 2 * n, uint32(h2.CANCEL))]),
      ),
  ],
  ['pings', () => Array.from({ length: 2500 }, () => frame(h2.PING, 0, 0, '12345678'))],
  ['settings', () => Array.from({ length: 2500 }, () => frame(h2.SETTINGS, 0, 0))],
  ['long settings', () => Array.from({ length: 20 }, () => frame(h2.SETTINGS, 0, 0, '\0\x03\0\0\0\x64'.repeat(2700)))],
  ['empty DATA', () => [headers(1, h2.END_HEADERS), ...Array.from({ length: 2500 }, () => frame(h2.DATA, 0, 1))]],
  [
    'priorities',
    () => Array.from({ length: 2500 }, () => frame(h2.PRIORITY, 0, 1, Buffer.concat([uint32(3), Buffer.from([1])]))),
  ],
  ['unknown frames', () => Array.from({ length: 2500 }, () => frame(77, 0, 0))],
  [
    'window updates without data',
    () => [headers(1), ...Array.from({ length: 3500 }, () => frame(h2.WINDOW_UPDATE, 0, 1, uint32(1)))],
  ],
  [
    'requests that are malformed',
    () => Array.from({ length: 2500 }, (_, n) => frame(h2.HEADERS, 5, 1 + 2 * n, block() + '\x00\x01A\x01v')),
  ],
  [
    'streams that we are made to reset',
    () =>
      Array.from({ length: 2500 }, (_, n) =>
        Buffer.concat([headers(1 + 2 * n), frame(h2.WINDOW_UPDATE, 0, 1 + 2 * n, uint32(0))]),
      ),
  ],
  [
    'heads over their limit',
    () => {
      const many = Array.from({ length: 60 }, (_, n) => `\x00\x02${String(n).padStart(2, 'x')}\x01v`).join('')
      return Array.from({ length: 100 }, (_, n) => frame(h2.HEADERS, 5, 1 + 2 * n, block() + many))
    },
  ],
  [
    'header bombs',
    () => [frame(h2.HEADERS, 5, 1, block() + '\x40\x01x\x7f\xe9\x06' + 'v'.repeat(1000) + '\xbe'.repeat(1000))],
  ],
  [
    'empty CONTINUATION',
    () => [frame(h2.HEADERS, 1, 1), ...Array.from({ length: 100 }, () => frame(h2.CONTINUATION, 0, 1))],
  ],
  [
    'endless CONTINUATION',
    () => [frame(h2.HEADERS, 1, 1), ...Array.from({ length: 40 }, () => frame(h2.CONTINUATION, 0, 1, 'x'.repeat(200)))],
  ],
]
for (const [what, attack] of floods)
  test(`a flood of ${what} ends the connection with ENHANCE_YOUR_CALM`, async () => {
    using b = await bench()
    b.send(...attack())
    assert.equal(await b.goaway(), h2.ENHANCE_YOUR_CALM)
    assert.ok(b.session.isClosed && b.isGone())
    assert.equal(b.session.streams.size, 0)
    assert.ok(b.seen.every(({ gone }) => gone !== null))
  })

test('who comes from where a flood came a moment ago is served, and ends sooner when it is another flood', async () => {
  const pings = (count: number) => Array.from({ length: count }, () => frame(h2.PING, 0, 0, '12345678'))
  const floods = new RecentFloods()
  {
    using b = await bench({ floods })
    b.send(...pings(900))
    await b.until('all pongs', () => b.frames.filter(({ type }) => type === h2.PING).length === 900)
    b.send(...pings(600))
    assert.equal(await b.goaway(), h2.ENHANCE_YOUR_CALM)
  }
  {
    using b = await bench({ floods, respond: true, limits: { concurrentStreams: 100 } })
    b.send(...pings(90), headers(1))
    await b.until('an answer', () => b.find(h2.DATA, 1) !== undefined)
    const settings = b.frames.find(({ type, flags }) => type === h2.SETTINGS && (flags & h2.ACK) === 0)!.payload
    const streams = Buffer.from(`\0\x03${h2.uint32(16)}`, 'latin1')
    assert.ok(settings.includes(streams), 'it may have fewer requests at once')
    b.send(...pings(400))
    assert.equal(await b.goaway(), h2.ENHANCE_YOUR_CALM)
  }
})

for (const isTls of [false, true])
  test(`a request behind many frames that do nothing is answered after them, ${isTls ? 'with' : 'without'} TLS`, async () => {
    using b = await bench({ respond: true, isTls })
    const pings = Array.from({ length: 450 }, (_, n) => frame(h2.PING, 0, 0, String(n).padStart(8, '0')))
    b.send(...pings, headers(1), ...pings, headers(3))
    await b.until('both answers', () => b.find(h2.DATA, 1) !== undefined && b.find(h2.DATA, 3) !== undefined)
    const pongs = b.frames.filter(({ type }) => type === h2.PING).map(({ payload }) => Number(payload.latin1Slice()))
    assert.deepEqual(pongs, [...pings.keys(), ...pings.keys()])
  })

test('ordinary use is no flood: many requests, each with window updates and some pings', async () => {
  using b = await bench({ respond: true })
  for (let n = 0; n < 3000; n++) {
    const id = 1 + 2 * n
    b.send(headers(id), frame(h2.WINDOW_UPDATE, 0, 0, uint32(2)))
    if (n % 10 === 0) b.send(frame(h2.PING, 0, 0, '12345678'))
    if (n % 10 === 9) await b.until('the answers', () => b.find(h2.DATA, id) !== undefined)
  }
  assert.equal(b.find(h2.GOAWAY, 0), undefined)
})

test('what breaks the protocol ends the connection with its code', async () => {
  const cases: readonly (readonly [string, Buffer, number])[] = [
    ['a frame over the limit', Buffer.from(h2.frameHead(16_385, h2.DATA, 0, 1), 'latin1'), h2.FRAME_SIZE_ERROR],
    ['a block that can not be read', frame(h2.HEADERS, 5, 1, '\x80'), h2.COMPRESSION_ERROR],
    ['an even stream', headers(2), h2.PROTOCOL_ERROR],
    [
      'a frame within a block',
      Buffer.concat([frame(h2.HEADERS, 1, 1), frame(h2.PING, 0, 0, '12345678')]),
      h2.PROTOCOL_ERROR,
    ],
    ['a push', frame(h2.PUSH_PROMISE, 4, 1, '\0\0\0\x02'), h2.PROTOCOL_ERROR],
    ['a window over its limit', frame(h2.WINDOW_UPDATE, 0, 0, uint32(h2.MAX_WINDOW)), h2.FLOW_CONTROL_ERROR],
  ]
  for (const [what, bytes, code] of cases) {
    using b = await bench()
    b.send(bytes)
    assert.equal(await b.goaway(), code, what)
  }
})

test('an end that was announced lets go on what is under way, and new requests until the client knows', async () => {
  using b = await bench()
  b.send(headers(1))
  await b.until('the request', () => b.seen.length === 1)
  b.session.closeWhenDone()
  await b.until('the announcement', () => b.find(h2.GOAWAY, 0) !== undefined)
  assert.equal(b.find(h2.GOAWAY, 0)!.payload.readUInt32BE(0), h2.MAX_STREAM_ID)
  b.send(headers(3), frame(h2.PING, h2.ACK, 0, 'meridian'))
  await b.until('the last word', () => b.frames.filter(({ type }) => type === h2.GOAWAY).length === 2)
  assert.equal(b.frames.findLast(({ type }) => type === h2.GOAWAY)!.payload.readUInt32BE(0), 3)
  for (const { client } of b.seen) {
    client.writeHead('HTTP/1.1 200 OK\r\n\r\n', null)
    client.endResponse()
  }
  await b.until('the end', () => b.isGone())
  assert.deepEqual(
    b.seen.map(({ gone }) => gone),
    [null, null],
  )
})
