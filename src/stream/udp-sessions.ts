/**
 * UDP: all datagrams of one client address are a session with one target, until neither side has sent any for the service's
 * `read_timeout`. Sessions are bounded: beyond the bound a new client's datagrams are dropped, as a full table of nginx does.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { plainAddress } from '#http/connection-facts.ts'
import { Session, type StreamContext } from './session.ts'

export interface UdpOptions {
  readonly context: StreamContext
  readonly destinationIp: string
  readonly destinationPort: number
  readonly maxSessions: number
}

/** Datagrams that wait while a session's target is being found. */
const WAITING_MAX = 32

interface Flow {
  readonly session: Session
  /** Null until the target is known. */
  upstream: UdpSocket | null
  waiting: Buffer[]
  idle: NodeJS.Timeout | null
  close(status: 200 | 500): void
}

export class UdpSessions {
  /** Datagrams that found no place. */
  dropped = 0
  readonly #options: UdpOptions
  readonly #flows = new Map<string, Flow>()

  constructor(options: UdpOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#flows.size
  }

  /** A datagram of a client, received by `listener`. */
  receive(listener: UdpSocket, bytes: Buffer, address: string, port: number): void {
    const key = `${address} ${port}`
    let flow = this.#flows.get(key)
    if (flow === undefined) {
      if (this.#flows.size >= this.#options.maxSessions) {
        this.dropped++
        return
      }
      flow = this.#open(key, listener, address, port)
    }
    flow.session.bytesReceived += bytes.length
    if (flow.upstream !== null) {
      flow.upstream.send(bytes)
      flow.idle?.refresh()
    } else if (flow.waiting.length < WAITING_MAX) flow.waiting.push(bytes)
    else this.dropped++
  }

  close(): void {
    for (const flow of this.#flows.values()) flow.close(200)
  }

  #open(key: string, listener: UdpSocket, address: string, sourcePort: number): Flow {
    const { context, destinationIp, destinationPort } = this.#options
    const session = new Session(context, {
      protocol: 'udp',
      serverName: null,
      sourceIp: plainAddress(address),
      sourcePort,
      destinationIp,
      destinationPort,
    })
    const flow: Flow = {
      session,
      upstream: null,
      waiting: [],
      idle: null,
      close: (status) => {
        if (!this.#flows.delete(key)) return
        if (flow.idle !== null) clearTimeout(flow.idle)
        flow.upstream?.close()
        session.end(status)
      },
    }
    this.#flows.set(key, flow)
    this.#connect(flow, listener, address, sourcePort).catch(() => flow.close(500))
    return flow
  }

  async #connect(flow: Flow, listener: UdpSocket, address: string, sourcePort: number): Promise<void> {
    const { session } = flow
    const refuse = (status: 500 | 200) => flow.close(status)
    const prepared = await session.prepare()
    if (!prepared.ok) {
      session.end(prepared.status)
      return refuse(500)
    }
    const { service } = prepared
    const picked = await session.pick(service, [])
    if (picked === null) {
      session.end(502)
      return refuse(500)
    }
    if (session.isEnded) return
    const upstream = createSocket(isIPv6(picked.ip) ? 'udp6' : 'udp4')
    service.balancer.started(picked)
    upstream.once('close', () => service.balancer.ended(picked, { type: 'status', status: 200 }, 0))
    // A port that nobody listens on says so by ICMP; the client would get nothing either way.
    upstream.on('error', () => flow.close(200))
    upstream.on('message', (bytes) => {
      session.bytesSent += bytes.length
      listener.send(bytes, sourcePort, address)
      flow.idle?.refresh()
    })
    await new Promise<void>((resolve) => upstream.connect(picked.port, picked.ip, () => resolve()))
    if (session.isEnded) {
      upstream.close()
      return
    }
    flow.upstream = upstream
    flow.idle = setTimeout(() => flow.close(200), service.timeouts.readMs)
    for (const bytes of flow.waiting) upstream.send(bytes)
    flow.waiting = []
  }
}
