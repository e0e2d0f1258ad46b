/** Upstreams inside the test process: one that echoes what it received, and one whose bytes the test writes itself. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'

export interface ReceivedRequest {
  readonly method: string
  readonly target: string
  readonly httpVersion: string
  /** Name and value by turns, as they came: case, order and repetition kept. */
  readonly rawHeaders: readonly string[]
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The same for requests that came over one connection. */
  readonly connection: number
}

export type Answer = (request: ReceivedRequest, response: ServerResponse) => void

export interface Upstream {
  readonly port: number
  /** All requests so far, in the order in which their bodies ended. */
  readonly received: readonly ReceivedRequest[]
  readonly connections: () => { readonly open: number; readonly total: number }
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** Answers 200 with the request as JSON, the body as text in it; `answer` replaces that. */
export async function startUpstream(answer: Answer = echo): Promise<Upstream> {
  const received: ReceivedRequest[] = []
  const numbers = new WeakMap<Socket, number>()
  const server = createServer((message, response) => {
    void collect(message, numbers.get(message.socket) ?? 0).then(
      (request) => {
        received.push(request)
        answer(request, response)
      },
      // The client went away inside its body: there is nobody to answer.
      () => response.destroy(),
    )
  })
  const upstream = await listening(server, received)
  server.on('connection', (socket) => numbers.set(socket, upstream.connections().total))
  return upstream
}

/** Calls `onConnection` with each connection and does nothing else; for answers no HTTP server would give. */
export async function startRawUpstream(
  onConnection: (socket: Socket) => void,
  options: { readonly allowHalfOpen?: boolean } = {},
): Promise<Upstream> {
  return await listening(
    createTcpServer(options, (socket) => {
      // A gateway that gives up may reset the connection; what matters is what the test sees at the gateway.
      socket.on('error', () => socket.destroy())
      onConnection(socket)
    }),
    [],
  )
}

export const echo: Answer = (request, response) => {
  const { method, target, httpVersion, headers, connection } = request
  const body = JSON.stringify({ method, target, httpVersion, headers, connection, body: request.body.toString('utf8') })
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body)
}

async function collect(message: IncomingMessage, connection: number): Promise<ReceivedRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return {
    method: message.method ?? '',
    target: message.url ?? '',
    httpVersion: message.httpVersion,
    rawHeaders: message.rawHeaders,
    headers: Object.fromEntries(
      Object.entries(message.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(', ') : String(value),
      ]),
    ),
    body: Buffer.concat(chunks),
    connection,
  }
}

async function listening(server: Server, received: readonly ReceivedRequest[]): Promise<Upstream> {
  const open = new Set<Socket>()
  let total = 0
  server.on('connection', (socket) => {
    total++
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const close = async () => {
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve())
    })
    for (const socket of open) socket.destroy()
    await closed
  }
  return {
    port: (server.address() as AddressInfo).port,
    received,
    connections: () => ({ open: open.size, total }),
    close,
    [Symbol.asyncDispose]: close,
  }
}
