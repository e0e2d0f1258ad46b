/** Memory that 10,000 connections cost while they wait for a next request. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { figure, type Figure } from '../support/bench.ts'
import { treeResidentBytes } from '../support/cpu-time.ts'
import { SMALL_BODY, type Subject } from '../support/subjects.ts'

const CONNECTIONS = 10_000
/** Opened at a time: below any listen backlog. */
const BATCH = 200
const WARM_UP = 2_000
const SETTLE_MS = 3_000
const ANSWER_TIMEOUT_MS = 10_000
const MIB = 2 ** 20

export async function measureIdle(subject: Subject): Promise<Figure[]> {
  // Code and buffers of the first requests are not the connections' cost.
  for (const socket of await openAll(subject.port, WARM_UP)) socket.destroy()
  await sleep(SETTLE_MS)
  const before = treeResidentBytes(subject.pid)
  const sockets = await openAll(subject.port, CONNECTIONS)
  await sleep(SETTLE_MS)
  const after = treeResidentBytes(subject.pid)
  const lost = sockets.filter((socket) => socket.closed || socket.readableEnded).length
  for (const socket of sockets) socket.destroy()
  if (lost > 0) throw new Error(`${lost} of ${CONNECTIONS} idle connections were closed while measuring`)
  return [
    figure('idle', (after - before) / MIB, {
      'before MiB': before / MIB,
      'after MiB': after / MIB,
      connections: CONNECTIONS,
    }),
  ]
}

async function openAll(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(BATCH, count - sockets.length) }, () => openUsed(port))
    sockets.push(...(await Promise.all(batch)))
  }
  return sockets
}

/** A connection that has had one request answered, as idle connections have. */
function openUsed(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    let text = ''
    const timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)), ANSWER_TIMEOUT_MS)
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (!text.endsWith(SMALL_BODY)) return
      clearTimeout(timer)
      socket.off('data', onData)
      socket.resume()
      resolve(socket)
    }
    socket.on('data', onData)
    socket.on('error', reject)
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  })
}
