/** gRPC through a whole gateway against a real server: every kind of call, deadlines, errors, reflection. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Metadata, status } from '@grpc/grpc-js'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { freePort } from '../support/free-port.ts'
import { freeGatewayPorts } from '../support/gateway.ts'
import {
  callUnary,
  echoClient,
  startGrpcServer,
  type EchoClient,
  type GrpcServer,
  type Message,
} from '../support/grpc-server.ts'
import { waitUntil } from '../support/wait.ts'

let upstream: GrpcServer
let gateway: Gateway
let client: EchoClient

before(async () => {
  upstream = await startGrpcServer()
  const ports = await freeGatewayPorts()
  const dead = await freePort()
  const header = (value: string) => ({ 'x-case': [value] })
  gateway = await startGateway({
    ports,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy} http2, 127.0.0.1:${ports.tls} ssl http2` },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 'echo',
          url: `grpc://127.0.0.1:${upstream.port}`,
          routes: [
            { name: 'grpc', protocols: ['grpc', 'grpcs'], paths: ['/meridian.test.Echo/'] },
            { name: 'reflection', protocols: ['grpc'], paths: ['/grpc.reflection'] },
            { name: 'secure', protocols: ['grpcs'], hosts: ['secure.test'], paths: ['/'] },
            {
              name: 'key',
              protocols: ['grpc'],
              headers: header('key'),
              paths: ['/'],
              plugins: [{ name: 'key-auth' }],
            },
          ],
        },
        {
          name: 'slow',
          url: `grpc://127.0.0.1:${upstream.port}`,
          read_timeout: 300,
          retries: 0,
          routes: [{ name: 'slow', protocols: ['grpc'], headers: header('slow'), paths: ['/'] }],
        },
        {
          name: 'dead',
          url: `grpc://127.0.0.1:${dead}`,
          retries: 1,
          routes: [{ name: 'dead', protocols: ['grpc'], headers: header('dead'), paths: ['/'] }],
        },
      ],
    },
  })
  client = echoClient(gateway.proxyPort)
})
after(async () => {
  client?.close()
  await gateway?.stop()
  await upstream.close()
})

const of = (value: string): Metadata => {
  const metadata = new Metadata()
  metadata.set('x-case', value)
  return metadata
}

test('a unary call gets its message, and trailers pass with repeated fields', async () => {
  const metadata = new Metadata()
  metadata.add('x-asked', 'a')
  metadata.add('x-asked', 'b')
  const { error, value, trailers } = await callUnary(client, 'Unary', { text: 'hi', count: 1 }, metadata)
  assert.equal(error, null)
  assert.deepEqual(value, { text: 'echo hi', count: 2 })
  assert.deepEqual(trailers.get('x-trailer'), ['yes'])
  assert.deepEqual(trailers.get('x-asked').join(', '), 'a, b')
})

test('an error of the server keeps its code and message', async () => {
  const { error } = await callUnary(client, 'Fail', { text: 'no such thing', count: status.NOT_FOUND })
  assert.equal(error?.code, status.NOT_FOUND)
  assert.equal(error?.details, 'no such thing')
})

test('a stream to the client arrives whole and in order, larger than every window', async () => {
  const text = 'x'.repeat(10_000)
  const counts: number[] = []
  const call = client.Download({ text, count: 300 })
  for await (const message of call as AsyncIterable<Message>) {
    assert.equal(message.text, text)
    counts.push(message.count)
  }
  assert.deepEqual(
    counts,
    Array.from({ length: 300 }, (_, n) => n),
  )
})

test('a stream to the server arrives whole, larger than every window', async () => {
  const answer = await new Promise<Message | undefined>((resolve, reject) => {
    const call = client.Upload((error, value) => (error === null ? resolve(value) : reject(error)))
    for (let n = 0; n < 300; n++) call.write({ text: 'y'.repeat(10_000), count: n })
    call.end()
  })
  assert.deepEqual(answer, { text: '3000000', count: 300 })
})

test('in a conversation each message is answered before the next is sent', async () => {
  const call = client.Chat()
  const heard: string[] = []
  for (let n = 0; n < 5; n++) {
    call.write({ text: String(n), count: n })
    const message = await new Promise<Message>((resolve) => call.once('data', resolve))
    heard.push(message.text)
  }
  call.end()
  call.resume()
  await new Promise((resolve) => call.once('status', resolve))
  assert.deepEqual(heard, ['said 0', 'said 1', 'said 2', 'said 3', 'said 4'])
})

test("the client's deadline ends a call, and the server hears of it", async () => {
  const before_ = upstream.cancelled()
  const { error } = await callUnary(client, 'Hang', { text: '', count: 0 }, new Metadata(), {
    deadline: Date.now() + 400,
  })
  assert.equal(error?.code, status.DEADLINE_EXCEEDED)
  await waitUntil('the call to be cancelled', () => upstream.cancelled() > before_, 5_000)
})

test('a server that does not answer in time is DEADLINE_EXCEEDED, one that is not there INTERNAL as in Kong', async () => {
  const slow = await callUnary(client, 'Hang', { text: '', count: 0 }, of('slow'))
  assert.equal(slow.error?.code, status.DEADLINE_EXCEEDED)
  assert.equal(slow.error?.details, 'The upstream server is timing out')
  const dead = await callUnary(client, 'Unary', { text: '', count: 0 }, of('dead'))
  assert.equal(dead.error?.code, status.INTERNAL)
  assert.equal(dead.error?.details, 'An invalid response was received from the upstream server')
})

test('a plugin that refuses is heard as a status of gRPC', async () => {
  const { error } = await callUnary(client, 'Unary', { text: '', count: 0 }, of('key'))
  assert.equal(error?.code, status.UNAUTHENTICATED)
  assert.equal(error?.details, 'No API key found in request')
})
