/** A service that decides as a test says. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

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
  readonly server: Server
  readonly port: number
  readonly asked: Asked[] = []
  says: (asked: Asked) => Said = () => ({})

  private constructor(server: Server) {
    this.server = server
    this.port = (server.address() as AddressInfo).port
  }

  static async start(): Promise<FakeService> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const service = new FakeService(server)
    server.on('request', async (request, response) => {
      let text = ''
      for await (const part of request) text += String(part)
      const asked = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, text }
      service.asked.push(asked)
      const { status = 200, headers = {}, body, isSilent } = service.says(asked)
      if (isSilent === true) return
      response.writeHead(status, headers)
      response.end(typeof body === 'object' ? JSON.stringify(body) : body)
    })
    return service
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}
