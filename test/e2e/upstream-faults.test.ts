/** What clients get when a target misbehaves, what is tried again and what never, and that nothing is left over afterwards. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient } from '../support/raw-client.ts'
import { startRawUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

const READ_TIMEOUT_MS = 1500
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'
const WHOLE = `${HEAD}hello`

/** What the target does with a request; the connection stays open unless the fault ends it. */
type Fault = (socket: Socket) => void | Promise<void>

/** A status stands for an answer of the gateway; 'cut' for one that begins and visibly does not end; 'whole' for that of the target. */
type Expected = number | 'cut' | 'whole'

interface Row {
  readonly fault: Fault
  readonly expected: Expected
  /** How often the target is asked for a GET; one retry is allowed. A POST that was sent is never repeated. */
  readonly asked?: 1 | 2
}

const saying =
  (text: string): Fault =>
  (socket) =>
    void socket.write(text, 'latin1')
const ending =
  (text: string): Fault =>
  (socket) =>
    void socket.end(text, 'latin1')

/** Writes the same again and again as long as somebody reads. */
const endless =
  (first: string, more: string): Fault =>
  (socket) => {
    socket.write(first)
    const next = () => {
      // Not at once: the loop must come to hear that the connection is gone.
      if (!socket.destroyed) socket.write(more, () => setImmediate(next))
    }
    next()
  }

const table: Readonly<Record<string, Row>> = {
  'takes the request and never answers': { fault: () => {}, expected: 504, asked: 2 },
  'closes without an answer': { fault: (socket) => void socket.end(), expected: 502, asked: 2 },
  'resets without an answer': { fault: (socket) => void socket.resetAndDestroy(), expected: 502, asked: 2 },
  'stops within the head': { fault: saying('HTTP/1.1 200 OK\r\nContent-Le'), expected: 504 },
  'closes within the head': { fault: ending('HTTP/1.1 200 OK\r\nContent-Le'), expected: 502 },
  'stops within the body': { fault: saying(`${HEAD}he`), expected: 'cut' },
  'sends fewer bytes than it said': { fault: ending(`${HEAD}he`), expected: 'cut' },
  'sends more bytes than it said': { fault: saying(`${WHOLE}HTTP/1.1 200 OK\r\n`), expected: 'whole' },
  'sends the head byte by byte': {
    fault: async (socket) => {
      for (const byte of WHOLE) {
        if (socket.destroyed) return
        socket.write(byte)
        await sleep(2)
      }
    },
    expected: 'whole',
  },
  'is no HTTP': { fault: saying('SSH-2.0-OpenSSH\r\n'), expected: 502 },
  'has another version': { fault: saying('HTTP/2.0 200 OK\r\n\r\n'), expected: 502 },
  'has a status that is none': { fault: saying('HTTP/1.1 20x OK\r\nContent-Length: 0\r\n\r\n'), expected: 502 },
  'has a line that is no field': { fault: saying('HTTP/1.1 200 OK\r\nnothing\r\n\r\n'), expected: 502 },
  'has NUL in a field': { fault: saying('HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n'), expected: 502 },
  'has two lengths': {
    fault: saying(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello`),
    expected: 502,
  },
  'has a length below 0': { fault: saying('HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'), expected: 502 },
  'has a length that no number holds': {
    fault: saying(`HTTP/1.1 200 OK\r\nContent-Length: ${'9'.repeat(40)}\r\n\r\n`),
    expected: 502,
  },
  'has a coding that nobody knows': {
    fault: saying('HTTP/1.1 200 OK\r\nTransfer-Encoding: other\r\n\r\n'),
    expected: 502,
  },
  'has a head that is too large': {
    fault: saying(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\nContent-Length: 0\r\n\r\n`),
    expected: 502,
  },
  'has fields without end': { fault: endless('HTTP/1.1 200 OK\r\n', `X-More: ${'y'.repeat(5000)}\r\n`), expected: 502 },
  'has a field without end': { fault: endless('HTTP/1.1 200 OK\r\nX: ', 'y'.repeat(5000)), expected: 502 },
  'has interim answers without end': { fault: endless('', 'HTTP/1.1 102 Processing\r\n\r\n'), expected: 502 },
  'switches protocols unasked': {
    fault: saying('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'),
    expected: 502,
  },
  'has a chunk size that is none': {
    fault: saying('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'),
    expected: 'cut',
  },
  'has a chunk longer than it said': {
    fault: saying('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n'),
    expected: 'cut',
  },
  'closes within a chunk': {
    fault: ending('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe'),
    expected: 'cut',
  },
  'closes before the last chunk': {
    fault: ending('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'),
    expected: 'cut',
  },
  'has trailers without end': {
    fault: endless('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', `X-More: ${'y'.repeat(5000)}\r\n`),
    expected: 'cut',
  },
}
const faults = Object.entries(table)

let gateway: Gateway
let target: Upstream
const asked = new Map<string, number>()
const sockets = new Set<Socket>()
/** Faults by path, besides those of the table. */
const more = new Map<string, Fault>()

before(async () => {
  target = await startRawUpstream(
    (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('end', () => socket.end())
      let head = ''
      socket.on('data', (bytes) => {
        const isNew = !head.includes('\r\n\r\n')
        head += bytes.toString('latin1')
        if (!isNew || !head.includes('\r\n\r\n')) return
        const [method, path = ''] = head.split(' ')
        const key = `${method} ${path}`
        asked.set(key, (asked.get(key) ?? 0) + 1)
        const fault = more.get(path) ?? faults[Number(path.slice(1))]![1].fault
        void fault(socket)
      })
    },
    { allowHalfOpen: true },
  )
  gateway = await startGateway({
    // A connection each, so that each request meets its fault.
    settings: { upstream_keepalive_pool_size: '0' },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          host: '127.0.0.1',
          port: target.port,
          retries: 1,
          read_timeout: READ_TIMEOUT_MS,
          write_timeout: READ_TIMEOUT_MS,
          routes: [{ paths: ['/'] }],
        },
      ],
    },
  })
})
after(async () => {
  await gateway.stop()
  await target.close()
})

/** What the client gets, as an `Expected`. */
async function ask(method: string, path: string): Promise<Expected> {
  const client = await openRawClient(gateway.proxyPort)
  const body = method === 'POST' ? 'once' : ''
  client.write(
    `${method} ${path} HTTP/1.1`,
    'Host: x',
    'Connection: close',
    ...(body === '' ? [] : [`Content-Length: ${body.length}`]),
    '',
    body,
  )
  const text = await client.end()
  // The fault came with the head, before that was written: there is nothing, and the connection is closed.
  if (text === '') return 'cut'
  const end = text.indexOf('\r\n\r\n')
  const [head, rest] = [text.slice(0, end), text.slice(end + 4)]
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1])
  if (status !== 200) return status
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  const isWhole = length === undefined ? rest.endsWith('0\r\n\r\n') : rest.length === Number(length)
  return isWhole ? 'whole' : 'cut'
}

test('each fault has its answer, and only a GET that got no byte of an answer is tried again', async () => {
  for (let round = 0; round < 2; round++) {
    asked.clear()
    const answers = await Promise.all(
      faults.map(async ([name, { expected, asked: times = 1 }], at) => ({
        name,
        get: await ask('GET', `/${at}`),
        post: await ask('POST', `/${at}`),
        asked: [asked.get(`GET /${at}`), asked.get(`POST /${at}`)],
        wanted: { name, get: expected, post: expected, asked: [times, 1] },
      })),
    )
    assert.deepEqual(
      answers.map(({ name, get, post, asked: times }) => ({ name, get, post, asked: times })),
      answers.map(({ wanted }) => wanted),
    )
  }
})

test('an answer that ends or is reset at any byte is an error, cut or whole, never something else', async () => {
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
  for (const answer of [WHOLE, chunked]) {
    const headEnd = answer.indexOf('\r\n\r\n') + 4
    for (const isReset of [false, true]) {
      const results = await Promise.all(
        Array.from({ length: answer.length + 1 }, async (_, at) => {
          const path = `/at-${answer === chunked}-${isReset}-${at}`
          more.set(path, (socket) => {
            if (!isReset) return void socket.end(answer.slice(0, at), 'latin1')
            const reset = () => void setTimeout(() => socket.resetAndDestroy(), 100)
            if (at === 0) reset()
            else socket.write(answer.slice(0, at), 'latin1', reset)
          })
          const got = await ask('GET', path)
          const wanted = at < headEnd ? 502 : at < answer.length ? 'cut' : 'whole'
          const times = at === 0 ? 2 : 1
          return { at, got, times: asked.get(`GET ${path}`), wanted, wantedTimes: times }
        }),
      )
      for (const { at, got, times, wanted, wantedTimes } of results)
        assert.deepEqual([at, got, times], [at, wanted, wantedTimes], `reset: ${isReset}`)
    }
  }
})

test('nothing is left over: no exchange, no connection', async () => {
  await waitUntil('the connections to the target are closed', () => sockets.size === 0)
  const page = await (await fetch(`${gateway.statusUrl}/metrics`)).text()
  const figure = (line: string) =>
    Number(
      page
        .split('\n')
        .find((one) => one.startsWith(`${line} `) || one.startsWith(`${line}{`))
        ?.split(' ')
        .at(-1),
    )
  assert.equal(figure('meridian_exchanges_in_flight'), 0)
  assert.equal(figure('meridian_upstream_connections{state="busy"}'), 0)
  assert.ok(figure('meridian_failed_exchanges_total') > 0)
})
