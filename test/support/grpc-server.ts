/** A real gRPC server (grpc-js) with every kind of call, reflection, and clients of it. */
import path from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'

const definition = loadSync(path.join(import.meta.dirname, 'echo.proto'), { defaults: true })

export interface Message {
  readonly text: string
  readonly count: number
}

export interface EchoClient extends grpc.Client {
  Unary(
    message: Message,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    done: grpc.requestCallback<Message>,
  ): grpc.ClientUnaryCall
  Fail: EchoClient['Unary']
  Hang: EchoClient['Unary']
  Download(message: Message, metadata?: grpc.Metadata): grpc.ClientReadableStream<Message>
  Upload(done: grpc.requestCallback<Message>): grpc.ClientWritableStream<Message>
  Chat(metadata?: grpc.Metadata): grpc.ClientDuplexStream<Message, Message>
}

const Echo = (grpc.loadPackageDefinition(definition) as unknown as { meridian: { test: { Echo: unknown } } }).meridian
  .test.Echo as new (address: string, credentials: grpc.ChannelCredentials, options?: grpc.ClientOptions) => EchoClient
const service = (Echo as unknown as { service: grpc.ServiceDefinition }).service

export interface GrpcServer {
  readonly port: number
  /** Calls of `Hang` that clients gave up. */
  readonly cancelled: () => number
  readonly server: grpc.Server
  readonly close: () => Promise<void>
}

/** On a free port of loopback; with `pair`, over TLS. */
export async function startGrpcServer(pair?: { cert: string; key: string }): Promise<GrpcServer> {
  let cancelled = 0
  const server = new grpc.Server()
  server.addService(service, {
    Unary: (call: grpc.ServerUnaryCall<Message, Message>, done: grpc.sendUnaryData<Message>) => {
      const trailer = new grpc.Metadata()
      trailer.set('x-trailer', 'yes')
      for (const value of call.metadata.get('x-asked')) trailer.add('x-asked', value)
      done(null, { text: `echo ${call.request.text}`, count: call.request.count + 1 }, trailer)
    },
    Download: (call: grpc.ServerWritableStream<Message, Message>) => {
      for (let count = 0; count < call.request.count; count++) call.write({ text: call.request.text, count })
      call.end()
    },
    Upload: (call: grpc.ServerReadableStream<Message, Message>, done: grpc.sendUnaryData<Message>) => {
      let count = 0
      let length = 0
      call.on('data', (message: Message) => {
        count++
        length += message.text.length
      })
      call.on('end', () => done(null, { text: String(length), count }))
    },
    Chat: (call: grpc.ServerDuplexStream<Message, Message>) => {
      call.on('data', (message: Message) => call.write({ text: `said ${message.text}`, count: message.count }))
      call.on('end', () => call.end())
    },
    Fail: (call: grpc.ServerUnaryCall<Message, Message>, done: grpc.sendUnaryData<Message>) =>
      done({ code: call.request.count, details: call.request.text }),
    Hang: (call: grpc.ServerUnaryCall<Message, Message>) => {
      call.on('cancelled', () => cancelled++)
    },
  })
  new ReflectionService(definition).addToServer(server)
  const credentials =
    pair === undefined
      ? grpc.ServerCredentials.createInsecure()
      : grpc.ServerCredentials.createSsl(null, [
          { cert_chain: Buffer.from(pair.cert), private_key: Buffer.from(pair.key) },
        ])
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  )
  return {
    port,
    cancelled: () => cancelled,
    server,
    close: async () => server.forceShutdown(),
  }
}

/** A client with a channel of its own, plain or over TLS with `root`. */
export function echoClient(port: number, root?: string): EchoClient {
  return root === undefined
    ? new Echo(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
    : new Echo(`localhost:${port}`, grpc.credentials.createSsl(Buffer.from(root)), {
        'grpc.use_local_subchannel_pool': 1,
      })
}

export interface Unary {
  readonly error: grpc.ServiceError | null
  readonly value: Message | undefined
  readonly trailers: grpc.Metadata
}

/** One call with one answer; a deadline of 10 s unless `options` has one. */
export function callUnary(
  client: EchoClient,
  method: 'Unary' | 'Fail' | 'Hang',
  message: Message,
  metadata = new grpc.Metadata(),
  options: grpc.CallOptions = {},
): Promise<Unary> {
  return new Promise((resolve) => {
    let trailers = new grpc.Metadata()
    let result: Omit<Unary, 'trailers'> | null = null
    const call = client[method](message, metadata, { deadline: Date.now() + 10_000, ...options }, (error, value) => {
      result = { error, value }
    })
    call.on('status', (status) => {
      trailers = status.metadata
      // The callback comes in the same turn or before.
      setImmediate(() => resolve({ error: null, value: undefined, ...result, trailers }))
    })
  })
}
