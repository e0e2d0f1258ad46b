import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { openRawClient, type RawClient } from '../support/raw-client.ts'
import { startRawUpstream } from '../support/upstream-server.ts'
import { waitUntil, within } from '../support/wait.ts'

const GIB = 1024 ** 3
const MIB = 1024 ** 2
const PIECE = Buffer.alloc(256 * 1024)
for (let i = 0; i < PIECE.length; i++) PIECE[i] = (i * 31 + (i >> 8)) & 0xff
const DEADLINE_MS = 60_000
/** What a gateway may take more while bodies pass: some buffers and what the collector has not come to yet; far from a body. */
const GROWTH_MIB = 160
/** What all buffers of the kernel and of the gateway on both sides may hold of a body that nobody reads. */
const UNREAD_MIB = 48

let gateway: Gateway
let upstreamPort = 0
/** What the upstream does with the next connection. */
let serve: (socket: Socket) => void = () => undefined
let closeUpstream: () => Promise<void>

before(async () => {
  const upstream = await startRawUpstream((socket) => serve(socket))
  upstreamPort = upstream.port
  closeUpstream = upstream.close
  gateway = await startGateway({
    settings: { overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [{ name: 's', host: '127.0.0.1', port: upstreamPort, routes: [{ name: 'r', paths: ['/'] }] }],
    },
  })
})
after(async () => {
  await gateway.stop()
  await closeUpstream()
})

/** Megabytes of memory of the whole gateway now. */
function rssMib(): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${gateway.child.pid}/status`, 'latin1'))?.[1]) / 1024
}

/** The largest growth of the gateway's memory while `work` runs. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = rssMib()
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, rssMib())
  }, 20)
  try {
    await within('the body passed', work(), DEADLINE_MS)
  } finally {
    clearInterval(timer)
  }
  return Math.max(most, rssMib()) - before
}

/** Writes `total` bytes in pieces, as fast as the other side takes them; `chunked` frames each piece. */
async function pour(socket: Socket, total: number, isChunked: boolean): Promise<void> {
  for (let sent = 0; sent < total; sent += PIECE.length) {
    if (isChunked) socket.write(`${PIECE.length.toString(16)}\r\n`)
    const isFlowing = socket.write(PIECE)
    if (isChunked) socket.write('\r\n')
    if (!isFlowing) await new Promise((resolve) => socket.once('drain', resolve))
  }
  if (isChunked) socket.write('0\r\n\r\n')
}

/** Counts a body as it comes, comparing a byte here and there with what was poured. */
class BodyCounter {
  bytes = 0
  wrong = 0
  isDone = false
  readonly #total: number
  readonly #isChunked: boolean
  #rest = 0
  #line = ''
  #state: 'size' | 'data' | 'data-end' = 'size'

  constructor(total: number, isChunked: boolean) {
    this.#total = total
    this.#isChunked = isChunked
  }

  read(bytes: Buffer): void {
    if (!this.#isChunked) return this.#count(bytes)
    let at = 0
    while (at < bytes.length) {
      if (this.#state === 'data') {
        const part = bytes.subarray(at, at + this.#rest)
        this.#count(part)
        this.#rest -= part.length
        at += part.length
        if (this.#rest === 0) this.#state = 'data-end'
        continue
      }
      this.#line += String.fromCharCode(bytes[at++]!)
      if (!this.#line.endsWith('\r\n')) continue
      if (this.#state === 'size') {
        this.#rest = Number.parseInt(this.#line, 16)
        if (this.#rest === 0) this.isDone = true
        this.#state = 'data'
      } else this.#state = 'size'
      this.#line = ''
      if (this.isDone) return
    }
  }

  #count(part: Buffer): void {
    if (part.length > 0) {
      const middle = part.length >> 1
      for (const index of [0, middle, part.length - 1])
        if (part[index] !== PIECE[(this.bytes + index) % PIECE.length]) this.wrong++
    }
    this.bytes += part.length
    if (!this.#isChunked && this.bytes >= this.#total) this.isDone = true
  }
}

/** Reads a head off a socket and hands what follows to `onBody`. */
function afterHead(socket: Socket, onHead: (head: string) => void, onBody: (bytes: Buffer) => void): void {
  let head: Buffer | null = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    if (head === null) return onBody(bytes)
    head = Buffer.concat([head, bytes])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    const rest = head.subarray(end + 4)
    onHead(head.toString('latin1', 0, end + 4))
    head = null
    if (rest.length > 0) onBody(rest)
  })
}

const framingOf = (isChunked: boolean, total: number) =>
  isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${total}`

function connectClient(): Promise<RawClient> {
  return openRawClient(gateway.proxyPort)
}

for (const isChunked of [false, true]) {
  const framing = isChunked ? 'in chunks' : 'with a length'

  test(`1 GB goes up ${framing} while the gateway's memory stays flat`, async () => {
    const counter = new BodyCounter(GIB, isChunked)
    let upstreamHead = ''
    serve = (socket) =>
      afterHead(
        socket,
        (head) => (upstreamHead = head),
        (bytes) => {
          counter.read(bytes)
          if (counter.isDone) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
        },
      )
    using client = await connectClient()
    const growth = await growthDuring(async () => {
      client.write('POST / HTTP/1.1', 'Host: gw.test', framingOf(isChunked, GIB), '', '')
      const response = client.response('POST', DEADLINE_MS)
      await pour(client.socket, GIB, isChunked)
      assert.equal((await response).body, 'ok')
    })
    assert.match(upstreamHead, new RegExp(`^${framingOf(isChunked, GIB)}\r$`, 'im'))
    assert.deepEqual([counter.bytes, counter.wrong], [GIB, 0])
    assert.ok(growth < GROWTH_MIB, `${growth.toFixed(0)} MiB more`)
  })

  test(`1 GB comes down ${framing} while the gateway's memory stays flat`, async () => {
    serve = (socket) =>
      afterHead(
        socket,
        () => {
          socket.write(`HTTP/1.1 200 OK\r\n${framingOf(isChunked, GIB)}\r\nConnection: close\r\n\r\n`)
          void pour(socket, GIB, isChunked)
        },
        () => undefined,
      )
    using client = await connectClient()
    client.socket.removeAllListeners('data')
    const counter = new BodyCounter(GIB, isChunked)
    let head = ''
    const growth = await growthDuring(
      () =>
        new Promise<void>((resolve, reject) => {
          client.socket.on('close', () => reject(new Error('the connection closed within the body')))
          afterHead(
            client.socket,
            (text) => (head = text),
            (bytes) => {
              counter.read(bytes)
              if (counter.isDone) resolve()
            },
          )
          client.request('GET / HTTP/1.1')
        }),
    )
    assert.match(head, new RegExp(`^${framingOf(isChunked, GIB)}\r$`, 'im'))
    assert.deepEqual([counter.bytes, counter.wrong], [GIB, 0])
    assert.ok(growth < GROWTH_MIB, `${growth.toFixed(0)} MiB more`)
  })

  test(`a client that does not read holds the upstream back, and gets all of it ${framing} when it reads again`, async () => {
    const TOTAL = 200 * MIB
    let upstreamSocket: Socket | null = null
    serve = (socket) => {
      upstreamSocket = socket
      afterHead(
        socket,
        () => {
          socket.write(`HTTP/1.1 200 OK\r\n${framingOf(isChunked, TOTAL)}\r\nConnection: close\r\n\r\n`)
          void pour(socket, TOTAL, isChunked)
        },
        () => undefined,
      )
    }
    using client = await connectClient()
    client.socket.removeAllListeners('data')
    client.socket.pause()
    const before = rssMib()
    client.request('GET / HTTP/1.1')
    const taken = () => upstreamSocket!.bytesWritten - upstreamSocket!.writableLength
    await waitUntil('the upstream is asked', () => upstreamSocket !== null)
    await untilStill(taken)
    assert.ok(taken() < UNREAD_MIB * MIB, `the upstream could send ${(taken() / MIB).toFixed(0)} MiB`)
    assert.ok(rssMib() - before < UNREAD_MIB, `${(rssMib() - before).toFixed(0)} MiB more`)
    const counter = new BodyCounter(TOTAL, isChunked)
    afterHead(
      client.socket,
      () => undefined,
      (bytes) => counter.read(bytes),
    )
    client.socket.resume()
    await waitUntil('the whole body came', () => counter.isDone, DEADLINE_MS)
    assert.deepEqual([counter.bytes, counter.wrong], [TOTAL, 0])
  })

  test(`an upstream that does not read holds the client back, and gets all of it ${framing} when it reads again`, async () => {
    const TOTAL = 200 * MIB
    const counter = new BodyCounter(TOTAL, isChunked)
    let upstreamSocket: Socket | null = null
    serve = (socket) => {
      upstreamSocket = socket
      socket.pause()
      afterHead(
        socket,
        () => undefined,
        (bytes) => {
          counter.read(bytes)
          if (counter.isDone) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
        },
      )
      socket.pause()
    }
    using client = await connectClient()
    const before = rssMib()
    client.write('POST / HTTP/1.1', 'Host: gw.test', framingOf(isChunked, TOTAL), '', '')
    const response = client.response('POST', DEADLINE_MS)
    const poured = pour(client.socket, TOTAL, isChunked)
    const taken = () => client.socket.bytesWritten - client.socket.writableLength
    await waitUntil('the upstream is asked', () => upstreamSocket !== null)
    await untilStill(taken)
    assert.ok(taken() < UNREAD_MIB * MIB, `the client could send ${(taken() / MIB).toFixed(0)} MiB`)
    assert.ok(rssMib() - before < UNREAD_MIB, `${(rssMib() - before).toFixed(0)} MiB more`)
    upstreamSocket!.resume()
    await within('the body was sent', poured, DEADLINE_MS)
    assert.equal((await response).body, 'ok')
    assert.deepEqual([counter.bytes, counter.wrong], [TOTAL, 0])
  })
}

/** Waits until a figure stands still for a while: nothing more fits. */
async function untilStill(figure: () => number): Promise<void> {
  let last = -1
  await waitUntil(
    'nothing more is taken',
    async () => {
      const now = figure()
      const isStill = now === last && now > 0
      last = now
      if (!isStill) await sleep(400)
      return isStill
    },
    DEADLINE_MS,
  )
}
