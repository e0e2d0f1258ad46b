/** The chunked coding (RFC 9112 7.1), read incrementally in slices without copying. */
import { FieldFacts, parseFields } from './fields.ts'
import { HeaderList } from './header-list.ts'

export interface ChunkedSink {
  /** A slice of the body; valid as long as the buffer that was passed in. */
  onChunkData(bytes: Buffer): void
}

const SIZE = 0
const EXTENSION = 1
const SIZE_LF = 2
const DATA = 3
const DATA_CR = 4
const DATA_LF = 5
const TRAILER = 6
const DONE = 7

/** Bytes of one chunk-size line with its extensions: who sends more wants to exhaust the reader (CVE-2023-39326 and kin). */
const MAX_LINE_BYTES = 256
const MAX_TRAILER_BYTES = 8192
const MAX_TRAILER_FIELDS = 64

export class ChunkedReader {
  isDone = false
  /** Why the body is refused; '' while it is fine. */
  problem = ''
  trailers: HeaderList | null = null
  #state = SIZE
  #remaining = 0
  #lineBytes = 0
  #digits = 0
  #extension = 0
  #trailerText = ''

  /** Reads from `bytes` at `pos`; answers the position after what belongs to the body, or -1 when it is refused. */
  read(bytes: Buffer, pos: number, sink: ChunkedSink): number {
    const { length } = bytes
    while (pos < length) {
      switch (this.#state) {
        case SIZE: {
          const code = bytes[pos]!
          const digit = hexDigit(code)
          if (digit >= 0) {
            if (++this.#digits > 13) return this.#refuse('chunk size over 2^52')
            this.#remaining = this.#remaining * 16 + digit
          } else if (this.#digits === 0) return this.#refuse('chunk size has no digit')
          else if (code === 13) this.#state = SIZE_LF
          else if (code === 59) {
            this.#state = EXTENSION
            this.#extension = EXT_NAME
          } else return this.#refuse('bad byte in a chunk size')
          if (++this.#lineBytes > MAX_LINE_BYTES) return this.#refuse('chunk line too long')
          pos++
          break
        }
        case EXTENSION: {
          const code = bytes[pos++]!
          this.#extension = nextInExtension(this.#extension, code)
          if (this.#extension === EXT_BAD) return this.#refuse('bad byte in a chunk extension')
          if (this.#extension === EXT_END) this.#state = SIZE_LF
          if (++this.#lineBytes > MAX_LINE_BYTES) return this.#refuse('chunk line too long')
          break
        }
        case SIZE_LF:
          if (bytes[pos++] !== 10) return this.#refuse('bare CR after a chunk size')
          this.#lineBytes = 0
          this.#digits = 0
          this.#state = this.#remaining === 0 ? TRAILER : DATA
          break
        case DATA: {
          const end = Math.min(length, pos + this.#remaining)
          sink.onChunkData(bytes.subarray(pos, end))
          this.#remaining -= end - pos
          pos = end
          if (this.#remaining === 0) this.#state = DATA_CR
          break
        }
        case DATA_CR:
          if (bytes[pos++] !== 13) return this.#refuse('a chunk is longer than its size')
          this.#state = DATA_LF
          break
        case DATA_LF:
          if (bytes[pos++] !== 10) return this.#refuse('a chunk is longer than its size')
          this.#state = SIZE
          break
        case TRAILER:
          pos = this.#readTrailer(bytes, pos)
          if (pos < 0 || this.isDone) return pos
          break
        default:
          return pos
      }
    }
    return pos
  }

  #readTrailer(bytes: Buffer, pos: number): number {
    // The common end: CRLF at once.
    if (this.#trailerText === '' && bytes[pos] === 13 && bytes[pos + 1] === 10) return this.#finish(pos + 2)
    const before = this.#trailerText.length
    const end = Math.min(bytes.length, pos + MAX_TRAILER_BYTES + 4 - before)
    const text = this.#trailerText + bytes.toString('latin1', pos, end)
    const emptyLine = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (emptyLine < 0) {
      if (text.length > MAX_TRAILER_BYTES) return this.#refuse('trailers over their limit')
      this.#trailerText = text
      return bytes.length
    }
    if (emptyLine === 0 && text.startsWith('\r\n')) return this.#finish(pos + 2 - before)
    const block = text.slice(0, emptyLine + 4)
    const spans: number[] = []
    const facts = new FieldFacts()
    const blockBytes = Buffer.from(block, 'latin1')
    if (!parseFields(blockBytes, block, 0, 0, blockBytes.length, spans, facts, MAX_TRAILER_FIELDS))
      return this.#refuse(`trailers: ${facts.problem}`)
    // RFC 9110 6.5.1: fields for framing, routing or the connection have no business in trailers.
    if (
      facts.contentLength >= 0 ||
      facts.hasTransferEncoding ||
      facts.hostCount > 0 ||
      facts.connection !== 0 ||
      facts.hasExpect ||
      facts.hasUpgrade
    )
      return this.#refuse('a framing field in the trailers')
    this.trailers = new HeaderList(block, spans, facts.low, facts.high)
    return this.#finish(pos + emptyLine + 4 - before)
  }

  #finish(pos: number): number {
    this.#state = DONE
    this.isDone = true
    return pos
  }

  #refuse(problem: string): -1 {
    this.problem = problem
    return -1
  }
}

/** Where one is in `;name=value` or `;name="value"` (RFC 9112 7.1.1). Extensions are dropped, but read: whoever skips to the end of the
 * line can be told another end than a reader of quotes (CVE-2025-55315). */
const EXT_NAME = 0
const EXT_IN_NAME = 1
const EXT_VALUE = 2
const EXT_IN_VALUE = 3
const EXT_QUOTED = 4
const EXT_ESCAPED = 5
const EXT_QUOTED_END = 6
const EXT_END = 7
const EXT_BAD = 8

const TOKEN = new Uint8Array(256)
for (const c of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~")
  TOKEN[c.charCodeAt(0)] = 1

function nextInExtension(place: number, code: number): number {
  switch (place) {
    case EXT_NAME:
      return TOKEN[code] === 1 ? EXT_IN_NAME : EXT_BAD
    case EXT_VALUE:
      return TOKEN[code] === 1 ? EXT_IN_VALUE : code === 34 ? EXT_QUOTED : EXT_BAD
    case EXT_QUOTED:
      if (code === 34) return EXT_QUOTED_END
      if (code === 92) return EXT_ESCAPED
      return (code < 32 && code !== 9) || code === 127 ? EXT_BAD : EXT_QUOTED
    case EXT_ESCAPED:
      return (code < 32 && code !== 9) || code === 127 ? EXT_BAD : EXT_QUOTED
  }
  // Behind a name, a value or a quoted value.
  if (code === 13) return EXT_END
  if (code === 59) return EXT_NAME
  if (place === EXT_IN_NAME && code === 61) return EXT_VALUE
  return place !== EXT_QUOTED_END && TOKEN[code] === 1 ? place : EXT_BAD
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  code |= 0x20
  return code >= 97 && code <= 102 ? code - 87 : -1
}

/** The line that begins a chunk of this size. */
export function chunkHead(size: number): string {
  return size.toString(16) + '\r\n'
}
export const LAST_CHUNK = '0\r\n\r\n'

/** The end of a chunked body, with trailers. */
export function lastChunk(trailers: HeaderList | null): string {
  if (trailers === null) return LAST_CHUNK
  let text = '0\r\n'
  for (const [name, value] of trailers) text += `${name}: ${value}\r\n`
  return text + '\r\n'
}
