/** 10 GB down and 10 GB up: does memory stay flat while bodies pass? */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Gateway } from '../../test/support/gateway.ts'
import { startGateway } from '../../test/support/gateway.ts'
import { figure, type Figure } from '../support/bench.ts'
import { treeResidentBytes } from '../support/cpu-time.ts'
import { INSPECT, inspect, type Inspector } from '../support/inspector.ts'
import { HUGE_BYTES } from '../support/subjects.ts'
import { startRawUpstream, type Upstream } from '../../test/support/upstream-server.ts'

const GIB = 2 ** 30
const MIB = 2 ** 20
const REPEATS = 10
const CHUNK = Buffer.alloc(256 * 1_024, 'x')
const SAMPLE_MS = 100

export async function measureStream(backendPort: number): Promise<Figure[]> {
  await using sink = await startSink()
  const declarative = {
    _format_version: '3.0',
    services: [
      { url: `http://127.0.0.1:${backendPort}`, routes: [{ paths: ['/'], strip_path: false }] },
      { url: `http://127.0.0.1:${sink.port}`, routes: [{ paths: ['/sink'] }] },
    ],
  }
  await using gateway = await startGateway({ declarative, nodeOptions: [INSPECT] })
  const inspector = await inspect(gateway.child)
  // Buffers and code of a first pass are not what grows.
  await download(gateway)
  await upload(gateway, HUGE_BYTES)
  const heapBefore = await heapBytes(inspector)
  const residentBefore = treeResidentBytes(gateway.child.pid)
  let peak = residentBefore
  const sampler = setInterval(() => (peak = Math.max(peak, treeResidentBytes(gateway.child.pid))), SAMPLE_MS)
  const started = performance.now()
  for (let n = 0; n < REPEATS; n++) await download(gateway)
  const downSeconds = (performance.now() - started) / 1_000
  await upload(gateway, REPEATS * HUGE_BYTES)
  const upSeconds = (performance.now() - started) / 1_000 - downSeconds
  clearInterval(sampler)
  const heapAfter = await heapBytes(inspector)
  inspector.close()
  const gibibytes = (REPEATS * HUGE_BYTES) / GIB
  return [
    figure('stream', (peak - residentBefore) / MIB, {
      'before MiB': residentBefore / MIB,
      'heap growth MiB': (heapAfter - heapBefore) / MIB,
      'GiB each way': gibibytes,
      'down GiB/s': gibibytes / downSeconds,
      'up GiB/s': gibibytes / upSeconds,
    }),
  ]
}

async function heapBytes({ workers }: Inspector): Promise<number> {
  const uses = await Promise.all(workers.map((worker) => worker.heapAfterCollection()))
  return uses.reduce((sum, { usedBytes, backingBytes }) => sum + usedBytes + backingBytes, 0)
}

/** Takes a body in and answers only then, with its length; nginx without a second upstream answers at once. */
async function startSink(): Promise<Upstream> {
  return await startRawUpstream((socket) => {
    let received = 0
    let expected = Infinity
    socket.on('data', (chunk: Buffer) => {
      if (expected === Infinity) {
        // The gateway sends its head in one write, well below one read.
        const head = chunk.toString('latin1')
        received -= head.indexOf('\r\n\r\n') + 4
        expected = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1])
      }
      received += chunk.length
      if (received === expected) {
        const body = String(received)
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
      }
    })
  })
}

async function open(gateway: Gateway, head: string): Promise<Socket> {
  const socket = connect({ port: gateway.proxyPort, host: '127.0.0.1' })
  await once(socket, 'connect')
  socket.write(`${head}\r\nHost: localhost\r\nConnection: close\r\n`)
  return socket
}

async function download(gateway: Gateway): Promise<void> {
  const socket = await open(gateway, 'GET /huge HTTP/1.1')
  socket.write('\r\n')
  let bytes = 0
  for await (const chunk of socket) bytes += (chunk as Buffer).length
  if (bytes < HUGE_BYTES) throw new Error(`the download ended after ${bytes} bytes`)
}

async function upload(gateway: Gateway, size: number): Promise<void> {
  const socket = await open(gateway, 'POST /sink HTTP/1.1')
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
  const closed = once(socket, 'close')
  socket.write(`Content-Length: ${size}\r\n\r\n`)
  for (let sent = 0; sent < size; sent += CHUNK.length) {
    if (!socket.write(CHUNK.subarray(0, Math.min(CHUNK.length, size - sent))))
      await Promise.race([once(socket, 'drain'), closed])
    if (socket.destroyed) break
  }
  await closed
  if (!answer.startsWith('HTTP/1.1 200 '))
    throw new Error(`the upload was answered with ${JSON.stringify(answer.slice(0, 200))}`)
}
