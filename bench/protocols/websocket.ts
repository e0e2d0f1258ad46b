/** CPU time of the proxies for an echo of 1 KB over WebSocket, nginx's beside it. The server copies what comes; nobody parses frames. */
import { randomBytes } from 'node:crypto'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Program } from '../../test/support/debian-part.ts'
import { startGateway } from '../../test/support/gateway.ts'
import { startNginx } from '../../test/support/nginx.ts'
import { treeCpuSeconds } from '../support/cpu-time.ts'
import { MEASURED_CORE } from '../support/machine.ts'
import type { Ratio } from './http2.ts'

const SOCKETS = 32
const MESSAGE_BYTES = 1024

export async function measureWebSocket(nginx: Program, messages: number, rounds: number): Promise<Ratio> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n')
      socket.on('data', (bytes) => socket.write(bytes))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const reference = await startNginx(nginx, {
    wrapper: MEASURED_CORE,
    http: ([own]) => `
  server { listen 127.0.0.1:${own}; location / { proxy_pass http://127.0.0.1:${port}; proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; } }`,
  })
  const gateway = await startGateway({
    wrapper: MEASURED_CORE,
    settings: { overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [{ url: `http://127.0.0.1:${port}`, routes: [{ paths: ['/'] }] }],
    },
  })
  try {
    const ours = { pid: gateway.child.pid, port: gateway.proxyPort }
    const theirs = { pid: reference.child.pid, port: reference.ports[0]! }
    await round(ours, messages)
    await round(theirs, messages >> 2)
    let [us, nginxUs] = [Infinity, Infinity]
    for (let at = 0; at < rounds; at++) {
      nginxUs = Math.min(nginxUs, await round(theirs, messages))
      us = Math.min(us, await round(ours, messages))
    }
    return { ratio: us / nginxUs, us, nginxUs }
  } finally {
    await gateway.stop()
    await reference.stop()
    server.close()
  }
}

/** Microseconds of CPU for a message there and back. */
async function round({ pid, port }: { pid: number; port: number }, messages: number): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => open(port)))
  const before = treeCpuSeconds(pid)
  await Promise.all(sockets.map((socket) => echo(socket, messages / SOCKETS)))
  const us = ((treeCpuSeconds(pid) - before) / messages) * 1e6
  for (const socket of sockets) socket.destroy()
  return us
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const key = randomBytes(16).toString('base64')
    socket.write(
      `GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    )
    socket.once('error', reject)
    socket.once('data', (head: Buffer) =>
      head.toString('latin1').startsWith('HTTP/1.1 101') ? resolve(socket) : reject(new Error(head.toString('latin1'))),
    )
  })
}

function echo(socket: Socket, messages: number): Promise<void> {
  const message = randomBytes(MESSAGE_BYTES)
  return new Promise((resolve, reject) => {
    let [left, came] = [Math.ceil(messages), 0]
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('a socket closed')))
    socket.on('data', (bytes: Buffer) => {
      came += bytes.length
      if (came < MESSAGE_BYTES) return
      came = 0
      if (--left === 0) resolve()
      else socket.write(message)
    })
    socket.write(message)
  })
}
