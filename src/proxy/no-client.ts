/** In place of a client where nobody waits for the response: takes everything at once and keeps nothing. */
import type { Socket } from 'node:net'
import type { ClientSide } from '#http/client-side.ts'
import type { TlsFacts } from '#http/connection-facts.ts'
import { clientFailure } from '#http/failure.ts'
import { splitHost, type HostParts } from '#http/host-header.ts'
import type { ProxiedAddresses } from '#http/proxy-header.ts'
import type { RequestSink } from '#http/request-sink.ts'

const GIVEN_UP = clientFailure('CLIENT_ABORTED', 499, 'a repeated request took too long, or the worker ends')

export class NoClient implements ClientSide {
  readonly isTls: boolean
  readonly sni: string | null
  readonly tls: TlsFacts | null
  readonly serial: number
  readonly peerIp: string
  readonly peerPort: number
  readonly serverIp: string
  readonly serverPort: number
  readonly proxied: ProxiedAddresses | null
  readonly requests: number
  readonly bytesReceived = 0
  readonly readsAreShared = false
  note: object | null = null
  isLast = false
  readonly #underWay: Set<NoClient>
  #exchange: Pick<RequestSink, 'onClientGone'> | null = null
  #timer: NodeJS.Timeout | null = null

  /** `of` is the client whose request is repeated: the upstream is told of it. Is in `underWay` as long as its exchange is. */
  constructor(of: ClientSide, underWay: Set<NoClient>) {
    this.#underWay = underWay
    this.isTls = of.isTls
    this.sni = of.sni
    this.tls = of.tls
    this.serial = of.serial
    this.peerIp = of.peerIp
    this.peerPort = of.peerPort
    this.serverIp = of.serverIp
    this.serverPort = of.serverPort
    this.proxied = of.proxied
    this.requests = of.requests
  }

  /** After `withinMs` the exchange is given up. */
  limit(withinMs: number, exchange: Pick<RequestSink, 'onClientGone'>): void {
    this.#underWay.add(this)
    this.#exchange = exchange
    this.#timer = setTimeout(() => this.giveUp(), withinMs)
  }

  giveUp(): void {
    const exchange = this.#exchange
    this.#done()
    exchange?.onClientGone(GIVEN_UP)
  }

  #done(): void {
    this.#underWay.delete(this)
    this.#exchange = null
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  hostOf(header: string): HostParts {
    return splitHost(header)
  }

  writeHead(): boolean {
    return true
  }

  writeInterim(): void {}

  write(): boolean {
    return true
  }

  writeChunk(): boolean {
    return true
  }

  endChunks(): void {}

  endResponse(): void {
    this.#done()
  }

  abort(): void {
    this.#done()
  }

  pauseBody(): void {}

  resumeBody(): void {}

  detach(): Buffer | null {
    return null
  }

  get socket(): Socket {
    throw new Error('a repeated request has no socket: it asks for no other protocol')
  }
}
