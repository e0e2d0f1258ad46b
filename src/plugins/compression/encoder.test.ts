import assert from 'node:assert/strict'
import { once } from 'node:events'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  zstdDecompressSync,
} from 'node:zlib'
import fc from 'fast-check'
import type { BodyEncoder, EncoderSink } from '#pdk'
import type { Encoding } from './accept-encoding.ts'
import { CompressedBody, type StreamTally } from './encoder.ts'

const LEVELS = { gzip_level: 5, brotli_level: 4, zstd_level: 3 }
const DECODE = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync }
const ENCODINGS: readonly Encoding[] = ['gzip', 'br', 'zstd']

class Sink extends EventEmitter implements EncoderSink {
  readonly parts: Buffer[] = []
  drains = 0
  isEnded = false
  onEncoded(bytes: Buffer): void {
    this.parts.push(bytes)
    this.emit('bytes')
  }
  onEncodedEnd(): void {
    this.isEnded = true
    this.emit('end')
  }
  onEncoderDrain(): void {
    this.drains++
    this.emit('drain')
  }
  onEncoderFailure(error: Error): void {
    this.emit('error', error)
  }
  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }
}

function open(encoding: Encoding, flushAfterMs = 60_000) {
  const sink = new Sink()
  const sums: unknown[] = []
  const tally: StreamTally = { open: 0, ended: (...ended) => void sums.push(ended) }
  const encoder: BodyEncoder = new CompressedBody(encoding, LEVELS, flushAfterMs, tally).start(sink)
  return { sink, sums, tally, encoder }
}

for (const encoding of ENCODINGS) {
  test(`${encoding}: what is written in any pieces comes back, though the pieces are overwritten`, async () => {
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 5000 }), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(pieces, fc.constantFrom(0, 60_000), async (list, flushAfterMs) => {
        const { sink, sums, tally, encoder } = open(encoding, flushAfterMs)
        const shared = Buffer.alloc(5000)
        for (const piece of list) {
          shared.set(piece)
          encoder.write(shared.subarray(0, piece.length), true)
          shared.fill(0)
        }
        encoder.end()
        await once(sink, 'end')
        const whole = Buffer.concat(list)
        assert.deepEqual(DECODE[encoding](sink.bytes), whole)
        assert.deepEqual([sums, tally.open], [[[encoding, whole.length, sink.bytes.length]], 0])
      }),
      { numRuns: 25 },
    )
  })

  test(`${encoding}: a piece that is flushed can be read before the end`, async () => {
    const { sink, encoder } = open(encoding, 0)
    const reader = { gzip: createGunzip, br: createBrotliDecompress, zstd: createZstdDecompress }[encoding]()
    const isRead = once(reader, 'data') as Promise<[Buffer]>
    // The head of the format may come by itself, and before what was written.
    sink.on('bytes', () => reader.write(sink.parts.at(-1)))
    encoder.write(Buffer.from('data: one\n\n'), false)
    const [read] = await isRead
    assert.equal(read.toString(), 'data: one\n\n')
    reader.destroy()
    assert.equal(sink.isEnded, false)
    encoder.destroy()
  })
}

test('a client that takes nothing stops the writer, and what is held stays bounded', async () => {
  const { sink, encoder } = open('gzip')
  encoder.pause()
  // Nothing that compresses: each piece comes out as long as it went in.
  const piece = Buffer.alloc(16_384)
  for (let i = 0; i < piece.length; i++) piece[i] = (i * 7919 + (i >> 3) * 104_729) & 255
  let written = 0
  const random = () => Buffer.from(piece.map((byte) => byte ^ (Math.random() * 256)))
  for (let i = 0; i < 100; i++) {
    written += piece.length
    if (encoder.write(random(), false)) continue
    const drained = await Promise.race([
      once(sink, 'drain').then(() => true),
      new Promise<false>((resolve) => setTimeout(() => resolve(false), 50)),
    ])
    if (!drained) break
  }
  assert.ok(written <= 10 * piece.length, `${written} bytes were taken`)
  encoder.resume()
  await once(sink, 'drain')
  encoder.end()
  await once(sink, 'end')
  assert.equal(gunzipSync(sink.bytes).length, written)
})

test('an encoder that is given up tells nothing more and is counted once', async () => {
  const { sink, sums, tally, encoder } = open('zstd', 0)
  encoder.write(Buffer.alloc(100_000, 'a'), false)
  encoder.destroy()
  encoder.destroy()
  encoder.resume()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([sink.parts.length, sink.isEnded, tally.open, sums.length], [0, false, 0, 1])
})
