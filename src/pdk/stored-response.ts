/** A response as a cache keeps it: read only, made of bytes and turned into them. */
import { FieldFacts, parseFields } from '#http/fields.ts'
import { HeaderList } from '#http/header-list.ts'

/** What a cache has to know about a response besides its head and body. */
export interface StoredFacts {
  readonly status: number
  /** When it was received, Unix ms. */
  readonly storedAtMs: number
  /** How old it was then, by its `Age`. */
  readonly ageS: number
  /** How long after `storedAtMs` it may be served without asking. */
  readonly freshForMs: number
  /** How long after that it may be served while it is asked for (RFC 5861 3), and when asking fails (RFC 5861 4). */
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  /** Names of request fields, in lower case, by which responses for this address differ; then this is no response itself. */
  readonly varyBy: readonly string[] | null
}

export class StoredResponse {
  readonly facts: StoredFacts
  /** To be cloned by who changes it. */
  readonly headers: HeaderList
  readonly body: Buffer
  /** What `X-Cache-Key` says. */
  readonly key: string

  constructor(facts: StoredFacts, key: string, headers: HeaderList, body: Buffer) {
    this.facts = facts
    this.key = key
    this.headers = headers
    this.body = body
  }
}

const MORE_THAN_ANY = 10_000

/** `lines` are checked fields, each `Name: value` with CRLF. */
export function encodeStored(facts: StoredFacts, key: string, lines: string, body: readonly Buffer[]): Buffer {
  const about = Buffer.from(JSON.stringify({ ...facts, key }))
  const head = Buffer.from(lines, 'latin1')
  const sizes = Buffer.allocUnsafe(8)
  sizes.writeUInt32LE(about.length, 0)
  sizes.writeUInt32LE(head.length, 4)
  return Buffer.concat([sizes, about, head, ...body])
}

/** Null when the bytes are none that `encodeStored` made. `bytes` must stay as they are. */
export function decodeStored(bytes: Buffer): StoredResponse | null {
  if (bytes.length < 8) return null
  const aboutEnd = 8 + bytes.readUInt32LE(0)
  const headEnd = aboutEnd + bytes.readUInt32LE(4)
  if (headEnd > bytes.length) return null
  const { key, ...facts } = JSON.parse(bytes.toString('utf8', 8, aboutEnd)) as StoredFacts & { key: string }
  const lines = bytes.toString('latin1', aboutEnd, headEnd) + '\r\n'
  const spans: number[] = []
  const parsed = new FieldFacts()
  if (!parseFields(Buffer.from(lines, 'latin1'), lines, 0, 0, lines.length, spans, parsed, MORE_THAN_ANY)) return null
  return new StoredResponse(facts, key, new HeaderList(lines, spans, parsed.low, parsed.high), bytes.subarray(headEnd))
}
