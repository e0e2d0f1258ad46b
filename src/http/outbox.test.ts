import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Received, socketPair } from '../../test/support/socket-pair.ts'
import { Outbox, type OutboxEntry } from './outbox.ts'
import { writeMessage } from './socket-writer.ts'

/** What a connection does with an outbox: one message is put aside, whatever comes after it sends it first. */
class Entry implements OutboxEntry {
  queued: string | Buffer | null = null
  flushes = 0
  readonly #flushed: (message: string | Buffer) => void
  constructor(flushed: (message: string | Buffer) => void) {
    this.#flushed = flushed
  }
  flushQueued(): void {
    this.flushes++
    const message = this.queued
    this.queued = null
    if (message !== null) this.#flushed(message)
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('entries are flushed once, in order, at the end of the turn', async () => {
  const outbox = new Outbox()
  const order: string[] = []
  const entries = ['a', 'b', 'c'].map((name) => new Entry((message) => order.push(name + String(message))))
  entries.forEach((entry, i) => {
    entry.queued = String(i)
    outbox.add(entry)
  })
  assert.deepEqual(order, [])
  await turn()
  await turn()
  assert.deepEqual(order, ['a0', 'b1', 'c2'])
  assert.deepEqual(
    entries.map(({ flushes }) => flushes),
    [1, 1, 1],
  )
})

test('what is added while the outbox is flushed waits for the next turn and is not lost', async () => {
  const outbox = new Outbox()
  const order: string[] = []
  const late = new Entry(() => order.push('late'))
  const early = new Entry(() => {
    order.push('early')
    late.queued = 'x'
    outbox.add(late)
  })
  for (let round = 0; round < 3; round++) {
    early.queued = 'x'
    outbox.add(early)
    outbox.flush()
    assert.equal(order.at(-1), 'early')
    await turn()
    assert.equal(order.at(-1), 'late')
  }
})

for (const isTls of [false, true]) {
  test(`a message shares nothing with the bytes it was made of (TLS: ${isTls})`, () => {
    const outbox = new Outbox()
    for (const size of [0, 1, 2048, 2049, 16384, 16385, 100_000, 1 << 18, 1 << 20]) {
      const body = Buffer.alloc(size, 'b')
      const message = outbox.message('head\r\n', body, isTls)
      body.fill('x')
      if (message === null) assert.ok(size > 16384)
      else assert.equal(typeof message === 'string' ? message : message.latin1Slice(), 'head\r\n' + 'b'.repeat(size))
    }
  })
}

/** Writes of many kinds, in any order, to several sockets that do or do not read: what arrives is what was written. */
test('whatever is written in whatever form to whatever sockets arrives whole and in order', async () => {
  const anyWrite = fc.record({
    socket: fc.nat(2),
    form: fc.constantFrom(
      'head' as const,
      'head and body' as const,
      'chunk' as const,
      'shared' as const,
      'kept' as const,
      'text' as const,
    ),
    size: fc.constantFrom(1, 100, 2048, 3000, 20_000, 131_072, 300_000, 4_000_000),
    endsTurn: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyWrite, { minLength: 1, maxLength: 60, size: 'max' }),
      fc.boolean(),
      async (writes, isSlow) => {
        const outbox = new Outbox()
        const shared = Buffer.alloc(4_000_000)
        const pairs = await Promise.all([socketPair(), socketPair(), socketPair()])
        try {
          const sent = ['', '', '']
          const entries = pairs.map(({ server }) => new Entry((message) => void writeMessage(server, message)))
          if (isSlow) for (const { client } of pairs) client.pause()
          for (const [i, { socket, form, size, endsTurn }] of writes.entries()) {
            const { server } = pairs[socket]!
            const entry = entries[socket]!
            const letter = String.fromCharCode(97 + (i % 26))
            const bytes = shared.subarray(0, size).fill(letter)
            if (entry.queued !== null) entry.flushQueued()
            const text = letter.repeat(size)
            switch (form) {
              case 'head':
                entry.queued = `<${i}>`
                sent[socket] += `<${i}>`
                outbox.add(entry)
                break
              case 'head and body': {
                const message = outbox.message(`<${i}>`, bytes, false)
                if (message === null) outbox.writeParts(server, `<${i}>`, bytes)
                else {
                  entry.queued = message
                  outbox.add(entry)
                }
                sent[socket] += `<${i}>${text}`
                break
              }
              case 'chunk':
                outbox.writeChunk(server, bytes, false)
                sent[socket] += `${size.toString(16)}\r\n${text}\r\n`
                break
              case 'shared':
                outbox.write(server, bytes, true, false)
                sent[socket] += text
                break
              case 'kept':
                outbox.write(server, Buffer.from(bytes), false, false)
                sent[socket] += text
                break
              case 'text':
                server.write(`<${i}>`, 'latin1')
                sent[socket] += `<${i}>`
                break
            }
            shared.fill('!')
            if (endsTurn) await turn()
          }
          await turn()
          for (const [i, { client, server }] of pairs.entries()) {
            server.end()
            client.resume()
            const received = new Received(client)
            await received.untilEnd()
            assert.equal(received.text.length, sent[i]!.length)
            assert.ok(received.text === sent[i])
          }
        } finally {
          for (const pair of pairs) pair[Symbol.dispose]()
        }
      },
    ),
    { numRuns: 20 },
  )
})
