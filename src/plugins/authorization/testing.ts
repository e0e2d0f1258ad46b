/** A service that decides as a test says. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach } from 'node:test'

export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

export interface Said {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** An object becomes JSON. */
  readonly body?: unknown
  /** Never answers. */
  readonly isSilent?: true
}

export class FakeService {
  readonly asked: Asked[] = []
  says: (asked: Asked) => Said = () => ({})
  readonly server: Server

  constructor() {
    this.server = createServer(async (request, response) => {
      let text = ''
      for await (const part of request) text += String(part)
      const asked = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, text }
      this.asked.push(asked)
      const { status = 200, headers = {}, body, isSilent } = this.says(asked)
      if (isSilent === true) return
      response.writeHead(status, headers)
      response.end(typeof body === 'object' ? JSON.stringify(body) : body)
    })
  }

  static async start(): Promise<FakeService> {
    const service = new FakeService()
    await service.listen()
    return service
  }

  async listen(): Promise<void> {
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}

/** One for all tests of a file, which each begin with `usual`. What is put into `open` is called at the end. */
export function fakeServiceOfFile(usual: FakeService['says']): {
  readonly service: FakeService
  readonly open: (() => void)[]
} {
  const service = new FakeService()
  const open: (() => void)[] = []
  before(() => service.listen())
  beforeEach(() => {
    service.asked.length = 0
    service.says = usual
  })
  after(async () => {
    for (const close of open) close()
    await service.stop()
  })
  return { service, open }
}
