/** One connection of a client passed on to a target, byte by byte, both ways, each direction ending for itself. */
import type { Socket } from 'node:net'
import type { PickedTarget } from '#balancer/contract.ts'
import type { CompiledService } from '#snapshot/snapshot.ts'
import { writeProxyHeader } from '#http/proxy-header.ts'
import { openSocket } from '#upstream/open-socket.ts'
import type { Session } from './session.ts'

/** Passes the client on; resolves when both directions have ended. The client's socket must be paused and without listeners. */
export async function serveTcp(session: Session, client: Socket): Promise<void> {
  client.on('error', () => client.destroy())
  const prepared = await session.prepare()
  if (!prepared.ok) return refuse(session, client, prepared.status)
  const target = await connectTo(session, client, prepared.service)
  if (target === null) return refuse(session, client, 502)
  await relay(session, client, target.socket, prepared.service)
  prepared.service.balancer.ended(target.picked, { type: 'status', status: 200 }, 0)
  session.end(200)
}

function refuse(session: Session, client: Socket, status: 500 | 403 | 400 | 503 | 502 | 200): void {
  client.destroy()
  session.end(status)
}

interface Reached {
  readonly picked: PickedTarget
  readonly socket: Socket
}

/** Tries targets until one takes the connection, as often as the service's `retries` say. */
async function connectTo(session: Session, client: Socket, service: CompiledService): Promise<Reached | null> {
  const tried: PickedTarget[] = []
  for (let tries = 0; tries <= service.retries && !client.destroyed; tries++) {
    const picked = await session.pick(service, tried)
    if (picked === null) return null
    service.balancer.started(picked)
    const socket = await connect(picked, service, client, prefaceOf(session, service))
    if (typeof socket !== 'string') return { picked, socket }
    // A client that left says nothing about the target.
    service.balancer.ended(picked, socket === 'left' ? { type: 'status', status: 499 } : { type: socket }, 0)
    tried.push(picked)
  }
  return null
}

/** What the service is told of the client by the PROXY protocol; null for nothing. */
function prefaceOf({ facts }: Session, { proxyHeader }: CompiledService): Buffer | null {
  return proxyHeader === null ? null : writeProxyHeader(proxyHeader, facts)
}

type Failure = 'tcp_failure' | 'timeout' | 'left'

function connect(
  { ip, port, hostname }: PickedTarget,
  service: CompiledService,
  client: Socket,
  preface: Buffer | null,
): Promise<Socket | Failure> {
  return new Promise((resolve) => {
    const tls = service.tls === null ? null : service.tls(hostname)
    const socket = openSocket({ ip, port, tls, protocols: null, preface })
    const settle = (outcome: Socket | Failure) => {
      clearTimeout(timer)
      client.off('close', abandon)
      socket.off(tls === null ? 'connect' : 'secureConnect', connected)
      if (typeof outcome === 'string') socket.destroy()
      resolve(outcome)
    }
    const connected = () => settle(socket)
    const abandon = () => settle('left')
    const timer = setTimeout(() => settle('timeout'), service.timeouts.connectMs)
    socket.once(tls === null ? 'connect' : 'secureConnect', connected)
    // It stays for the life of the socket: an error after the connection is an end, which `relay` sees by 'close'.
    socket.on('error', () => settle('tcp_failure'))
    client.once('close', abandon)
  })
}

/** Until both have closed. Ends both when neither has sent anything for the service's `read_timeout` (nginx's `proxy_timeout`). */
function relay(session: Session, client: Socket, upstream: Socket, service: CompiledService): Promise<void> {
  return new Promise((resolve) => {
    const idle = setTimeout(cut, service.timeouts.readMs)
    let open = 2
    function cut(): void {
      client.destroy()
      upstream.destroy()
    }
    function closed(other: Socket): void {
      // What is on its way to the other side still goes out; then there is nobody to talk to any more.
      if (!other.destroyed) other.destroySoon()
      if (--open > 0) return
      clearTimeout(idle)
      resolve()
    }
    client.on('data', (bytes: Buffer) => {
      session.bytesReceived += bytes.length
      idle.refresh()
      if (!upstream.write(bytes)) client.pause()
    })
    upstream.on('data', (bytes: Buffer) => {
      session.bytesSent += bytes.length
      idle.refresh()
      if (!client.write(bytes)) upstream.pause()
    })
    client.on('drain', () => upstream.resume())
    upstream.on('drain', () => client.resume())
    client.once('end', () => upstream.end())
    upstream.once('end', () => client.end())
    client.once('close', () => closed(upstream))
    upstream.once('close', () => closed(client))
    if (client.destroyed || upstream.destroyed) cut()
    client.resume()
  })
}
