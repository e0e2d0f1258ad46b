/** Tunnels outlive changes of the configuration that they came by. In its long form: 10,000 of them (or what the system allows), 1,000 changes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { adminCall } from '../support/admin-call.ts'
import { effort } from '../support/effort.ts'
import { startGateway } from '../support/gateway.ts'
import { startRawUpstream } from '../support/upstream-server.ts'
import { within } from '../support/wait.ts'

const SOCKETS = Math.min(effort(100, 10_000), Math.floor((descriptors() - 600) / 2))
const CHANGES = effort(15, 1000)
/** Opened at a time, as the backlog of a listener allows. */
const AT_A_TIME = 100
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n'

/** How many a process may have here: each tunnel takes two of the gateway's, and two of this process. */
function descriptors(): number {
  return Number(/Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024)
}

function open(port: number): Promise<Socket> {
  return within(
    'an upgrade',
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1' })
      socket.once('error', reject)
      socket.write(
        'GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
      )
      let head = ''
      socket.on('data', function read(bytes: Buffer) {
        head += bytes.toString('latin1')
        if (!head.includes('\r\n\r\n')) return
        socket.off('data', read)
        if (head.startsWith('HTTP/1.1 101 ')) resolve(socket)
        else reject(new Error(head))
      })
    }),
    60_000,
  )
}

/** What comes back for a text, which is the same text. */
function echoed(socket: Socket, text: string): Promise<string> {
  return within(
    `the echo of ${text}`,
    new Promise((resolve, reject) => {
      let came = ''
      socket.once('close', () => reject(new Error('the tunnel closed')))
      socket.on('data', function read(bytes: Buffer) {
        came += bytes.toString('latin1')
        if (came.length < text.length) return
        socket.off('data', read)
        resolve(came)
      })
      socket.write(text)
    }),
    60_000,
  )
}

test('tunnels stay open and pass on what is said while routes, services and plugins change', async () => {
  await using upstream = await startRawUpstream((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', () => {
      socket.write(SWITCHED)
      socket.on('data', (bytes) => socket.write(bytes))
    })
  })
  await using gateway = await startGateway({
    database: 'sqlite',
    workers: 2,
    settings: { overload_delay: '0', worker_connections: '16384' },
  })
  const admin = (method: string, target: string, body?: object) => adminCall(gateway, method, target, body)
  await admin('PUT', '/services/ws', { host: '127.0.0.1', port: upstream.port, read_timeout: 600_000 })
  await admin('PUT', '/routes/ws', { paths: ['/ws'], service: { name: 'ws' } })
  const tunnels: Socket[] = []
  try {
    while (tunnels.length < SOCKETS)
      tunnels.push(
        ...(await Promise.all(
          Array.from({ length: Math.min(AT_A_TIME, SOCKETS - tunnels.length) }, () => open(gateway.proxyPort)),
        )),
      )
    let closed = 0
    for (const tunnel of tunnels) tunnel.once('close', () => closed++)
    for (let change = 0; change < CHANGES; change++) {
      // Also what the tunnels came by: the route, its service, their plugins.
      await admin('PUT', `/routes/other-${change % 10}`, { paths: [`/other-${change}`], service: { name: 'ws' } })
      if (change % 5 === 0) await admin('PATCH', '/services/ws', { retries: change % 7 })
      if (change % 5 === 1) await admin('PATCH', '/routes/ws', { tags: [`change-${change}`] })
      if (change % 5 === 2)
        await admin('PUT', '/plugins/11111111-1111-4111-8111-111111111111', {
          name: 'correlation-id',
          config: { header_name: `x-${change}` },
        })
      const tunnel = tunnels[(change * 7919) % tunnels.length]!
      assert.equal(await echoed(tunnel, `change ${change}`), `change ${change}`)
    }
    // Even without the route by which they came.
    await admin('DELETE', '/routes/ws')
    assert.equal(closed, 0)
    for (let at = 0; at < tunnels.length; at += AT_A_TIME) {
      const some = tunnels.slice(at, at + AT_A_TIME)
      const texts = await Promise.all(some.map((tunnel, i) => echoed(tunnel, `tunnel ${at + i}`)))
      assert.deepEqual(
        texts,
        some.map((_, i) => `tunnel ${at + i}`),
      )
    }
    assert.equal(closed, 0)
  } finally {
    for (const tunnel of tunnels) tunnel.destroy()
  }
})
