/** A body through one of Node's streams of zlib, which work in threads of their own. */
import {
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  type BrotliCompress,
  type Gzip,
} from 'node:zlib'
import type { BodyEncoder, BodyEncoding, EncoderSink } from '#pdk'
import type { Encoding } from './accept-encoding.ts'
import type { Config } from './schema.ts'

type ZlibStream = Gzip | BrotliCompress | ReturnType<typeof createZstdCompress>
type Levels = Pick<Config, 'gzip_level' | 'brotli_level' | 'zstd_level'>

/** Windows of 256 KiB: larger ones gain little on texts and would let a stream hold megabytes (RFC 9659 allows 8 MiB for zstd). */
const WINDOW_BITS = 18

function openStream(encoding: Encoding, levels: Levels): ZlibStream {
  switch (encoding) {
    case 'gzip':
      return createGzip({ level: levels.gzip_level })
    case 'br':
      return createBrotliCompress({
        params: {
          [constants.BROTLI_PARAM_QUALITY]: levels.brotli_level,
          [constants.BROTLI_PARAM_LGWIN]: WINDOW_BITS,
        },
      })
    case 'zstd':
      return createZstdCompress({
        params: {
          [constants.ZSTD_c_compressionLevel]: levels.zstd_level,
          [constants.ZSTD_c_windowLog]: WINDOW_BITS,
        },
      })
  }
}

const FLUSH: Readonly<Record<Encoding, number>> = {
  gzip: constants.Z_SYNC_FLUSH,
  br: constants.BROTLI_OPERATION_FLUSH,
  zstd: constants.ZSTD_e_flush,
}

/** What an instance keeps of its streams. */
export interface StreamTally {
  /** Streams that are open. */
  open: number
  /** A stream is over, complete or not: bytes that went in, and came out. */
  ended(encoding: Encoding, bytesIn: number, bytesOut: number): void
}

export class CompressedBody implements BodyEncoding {
  readonly #encoding: Encoding
  readonly #levels: Levels
  /** Ms that bytes may wait for more. */
  readonly #flushAfterMs: number
  readonly #tally: StreamTally

  constructor(encoding: Encoding, levels: Levels, flushAfterMs: number, tally: StreamTally) {
    this.#encoding = encoding
    this.#levels = levels
    this.#flushAfterMs = flushAfterMs
    this.#tally = tally
  }

  start(sink: EncoderSink): BodyEncoder {
    return new Compressor(this.#encoding, this.#levels, this.#flushAfterMs, this.#tally, sink)
  }
}

class Compressor implements BodyEncoder {
  readonly #encoding: Encoding
  readonly #stream: ZlibStream
  readonly #tally: StreamTally
  readonly #flushAfterMs: number
  #timer: NodeJS.Timeout | null = null
  #isFlushing = false
  /** Whether bytes came since the last flush began. */
  #hasUnflushed = false
  #isEnding = false
  #isOver = false
  #bytesIn = 0
  #bytesOut = 0

  constructor(encoding: Encoding, levels: Levels, flushAfterMs: number, tally: StreamTally, sink: EncoderSink) {
    this.#encoding = encoding
    this.#flushAfterMs = flushAfterMs
    this.#tally = tally
    const stream = (this.#stream = openStream(encoding, levels))
    tally.open++
    stream.on('data', (bytes: Buffer) => {
      this.#bytesOut += bytes.length
      if (!this.#isOver) sink.onEncoded(bytes)
    })
    stream.on('drain', () => {
      if (!this.#isOver && !this.#isEnding) sink.onEncoderDrain()
    })
    stream.on('end', () => {
      if (this.#isOver) return
      this.destroy()
      sink.onEncodedEnd()
    })
    stream.on('error', (error: Error) => {
      if (this.#isOver) return
      this.destroy()
      sink.onEncoderFailure(error)
    })
  }

  write(bytes: Buffer, areShared: boolean): boolean {
    this.#bytesIn += bytes.length
    const isFlowing = this.#stream.write(areShared ? Buffer.from(bytes) : bytes)
    this.#hasUnflushed = true
    if (this.#flushAfterMs === 0) this.#flush()
    else this.#timer ??= setTimeout(() => this.#flush(), this.#flushAfterMs)
    return isFlowing
  }

  end(): void {
    this.#isEnding = true
    this.#stopTimer()
    this.#stream.end()
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    if (!this.#isOver) this.#stream.resume()
  }

  destroy(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stopTimer()
    this.#stream.destroy()
    this.#tally.open--
    this.#tally.ended(this.#encoding, this.#bytesIn, this.#bytesOut)
  }

  /** One at a time: what comes meanwhile is in the next one, so that a client that reads slowly gathers none. */
  #flush(): void {
    this.#stopTimer()
    if (this.#isFlushing || this.#isEnding || this.#isOver) return
    this.#isFlushing = true
    this.#hasUnflushed = false
    this.#stream.flush(FLUSH[this.#encoding], () => {
      this.#isFlushing = false
      if (this.#hasUnflushed && this.#timer === null) this.#flush()
    })
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
