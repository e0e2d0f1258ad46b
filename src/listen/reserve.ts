/** Whether the addresses can be bound, before any worker tries; and which port the system gives where none was named. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import type { Listener } from '#model/settings/listener.ts'

/**
 * Binds each listener once without sharing, so that a port which another process shares (SO_REUSEPORT) is found busy, too, and
 * releases it. Answers the listeners with their real ports. Rejects with the system's error, which names address and port.
 */
export async function reserveListeners(listeners: readonly Listener[]): Promise<readonly Listener[]> {
  const reserved: Listener[] = []
  for (const listener of listeners) {
    if (listener.socketPath !== null) {
      await removeStaleSocket(listener.socketPath)
      reserved.push(listener)
      continue
    }
    reserved.push({ ...listener, port: await (listener.udp ? bindUdpOnce(listener) : bindOnce(listener)) })
  }
  return reserved
}

function bindOnce(listener: Listener): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ host: listener.host, port: listener.port, ipv6Only: listener.ipv6Only, exclusive: true }, () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

function bindUdpOnce({ host, port, ipv6Only }: Listener): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? { type: 'udp6', ipv6Only } : { type: 'udp4' })
    socket.once('error', reject)
    socket.bind({ address: host, port, exclusive: true }, () => {
      const { port: bound } = socket.address()
      socket.close(() => resolve(bound))
    })
  })
}

/** A socket file that nobody answers on is left from a process that died. */
async function removeStaleSocket(path: string): Promise<void> {
  if (!statSync(path, { throwIfNoEntry: false })?.isSocket()) return
  const isAnswered = await new Promise<boolean>((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
  if (!isAnswered) rmSync(path, { force: true })
}
