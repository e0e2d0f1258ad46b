import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClientSide } from '#http/client-side.ts'
import type { BodyEncoder, EncoderSink } from '#pdk/body-encoding.ts'
import { fakeExchange } from '#pdk/testing'
import type { PluginInstance } from '#snapshot/snapshot.ts'
import { ChangedBody } from './changed-body.ts'
import { ChosenEncoding } from './response-phases.ts'
import type { ProxyEvents } from './worker-context.ts'

/** A body whose encoder puts letters into capitals; it says stop, and fails, when a test wants it. */
function bed(fails: 'start' | 'write' | 'end' | 'later' | null = null) {
  const told: string[] = []
  const client = { isFull: false, text: '' }
  let sink: EncoderSink | null = null
  const broken = (at: string) => {
    if (fails === at) throw new Error(`fails at ${at}`)
  }
  const encoder: BodyEncoder = {
    write: (bytes) => {
      broken('write')
      if (fails === 'later') queueMicrotask(() => sink!.onEncoderFailure(new Error('fails later')))
      else sink!.onEncoded(Buffer.from(bytes.toString().toUpperCase()))
      return false
    },
    end: () => {
      broken('end')
      queueMicrotask(() => sink!.onEncodedEnd())
    },
    pause: () => told.push('pause'),
    resume: () => told.push('resume'),
    destroy: () => told.push('destroy'),
  }
  const exchange = fakeExchange()
  const encoding = {
    start: (to: EncoderSink) => {
      broken('start')
      sink = to
      return encoder
    },
  }
  const events = {
    pluginFailed: (_exchange: unknown, _instance: unknown, phase: string, error: Error) =>
      told.push(`${phase}: ${error.message}`),
  } as unknown as ProxyEvents
  const body: ChangedBody = new ChangedBody(
    {
      changedBodyEnded: () => told.push('ended'),
      changedBodyDrained: () => told.push('drained'),
      changedBodyFailed: () => {
        told.push('failed')
        body.close()
      },
    },
    {
      writeChunk: (bytes: Buffer) => {
        client.text += bytes.toString()
        return !client.isFull
      },
    } as unknown as ClientSide,
    exchange.response,
    'chunked',
    null,
    new ChosenEncoding(encoding, {} as PluginInstance, exchange, events),
  )
  return { body, client, told, exchange, sink: () => sink! }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('what is encoded goes to the client, and its end is told later', async () => {
  const { body, client, told, exchange } = bed()
  assert.equal(body.write(Buffer.from('abc'), true), false)
  assert.equal(body.end(null), false)
  assert.deepEqual(told, [])
  await settled()
  assert.deepEqual([client.text, exchange.response.bytesSent, told], ['ABC', 3, ['ended']])
})

test('a body without bytes is encoded, too', async () => {
  const { body, told } = bed()
  assert.equal(body.end(null), false)
  await settled()
  assert.deepEqual(told, ['ended'])
})

test('a client that is full stops the encoder, and an encoder that was full lets the upstream go on', () => {
  const { body, client, told, sink } = bed()
  client.isFull = true
  body.write(Buffer.from('a'), false)
  assert.equal(body.resume(), true)
  sink().onEncoderDrain()
  assert.deepEqual(told, ['pause', 'resume', 'drained'])
})

for (const at of ['start', 'write', 'end', 'later'] as const) {
  test(`an encoder that fails cuts the response, and the plugin is named once: ${at}`, async () => {
    const { body, told } = bed(at)
    body.write(Buffer.from('a'), false)
    body.end(null)
    await settled()
    assert.deepEqual(
      told.filter((one) => one !== 'destroy'),
      [`responseEncoding: fails ${at === 'later' ? at : `at ${at}`}`, 'failed'],
    )
  })
}

test('when the exchange is over nothing more is told', async () => {
  const { body, client, told, sink } = bed()
  body.write(Buffer.from('a'), false)
  body.close()
  sink().onEncoded(Buffer.from('b'))
  sink().onEncodedEnd()
  sink().onEncoderDrain()
  sink().onEncoderFailure(new Error('late'))
  await settled()
  assert.deepEqual([client.text, told], ['A', ['destroy']])
})
