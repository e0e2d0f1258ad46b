/** Field lines (RFC 9110 5, RFC 9112 5), shared by requests, responses and trailers. */
import { headerId, identifyHeaderBytes } from './known-headers.ts'

/** What a name's byte may be: 1 as nginx and Kong take it, 2 a token character that they drop the field for, 0 refused. */
const NAME = new Uint8Array(256)
for (const c of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_') NAME[c.charCodeAt(0)] = 1
for (const c of "!#$%&'*+.^`|~") NAME[c.charCodeAt(0)] = 2

/** Bytes of a value: HTAB, SP to ~, and obs-text. */
const VALUE = new Uint8Array(256)
for (let c = 0x20; c < 0x100; c++) if (c !== 0x7f) VALUE[c] = 1
VALUE[9] = 1

export const CONNECTION_CLOSE = 1
export const CONNECTION_KEEP_ALIVE = 2
export const CONNECTION_UPGRADE = 4
/** Connection names other fields, which must not be passed on. */
export const CONNECTION_NAMES = 8

/** What the fields say about the message; filled while they are parsed. */
export class FieldFacts {
  /** -1: no Content-Length. */
  contentLength = -1
  isChunked = false
  /** Transfer-Encoding names something besides a final chunked. */
  hasOtherCoding = false
  hasTransferEncoding = false
  hostCount = 0
  host = ''
  connection = 0
  hasUpgrade = false
  hasExpect = false
  /** Bits of the known headers that are there, by id: below 32, and from 32 on. */
  low = 0
  high = 0
  /** Reason why the fields are refused. */
  problem = ''
}

/**
 * Parses field lines of `bytes` from `pos` up to the empty line that ends at `end`. Appends five numbers per field to `spans` (see
 * `HeaderList`), counted from `base`, where `text`, the head as latin1, begins; fills `facts`, and answers false with
 * `facts.problem` set when a line is refused. Refused are: obs-fold, space before the colon, bytes that no name or value may have,
 * bare CR or LF, several or malformed Content-Length, more than `maxFields` lines. Fields whose name has token characters that
 * nginx does not take are checked, then left out. (Reads bytes, because `charCodeAt` looks at the string's form at each call.)
 */
export function parseFields(
  bytes: Uint8Array,
  text: string,
  base: number,
  pos: number,
  end: number,
  spans: number[],
  facts: FieldFacts,
  maxFields: number,
): boolean {
  let count = 0
  while (pos < end) {
    let code = bytes[pos]!
    if (code === 13) {
      if (pos + 2 === end && bytes[pos + 1] === 10) return true
      return refuse(facts, 'bare CR in a field line')
    }
    if (++count > maxFields) return refuse(facts, 'too many header fields')
    const nameStart = pos
    let isDropped = false
    for (;;) {
      const kind = NAME[code]!
      if (kind !== 1) {
        if (kind === 2) isDropped = true
        else break
      }
      code = bytes[++pos]!
    }
    if (code !== 58 || pos === nameStart) {
      return refuse(
        facts,
        pos === nameStart && code !== 58 ? 'a field line begins with a byte that no name has' : 'bad field name',
      )
    }
    const nameEnd = pos
    code = bytes[++pos]!
    while (code === 32 || code === 9) code = bytes[++pos]!
    const valueStart = pos
    while (VALUE[code] === 1) code = bytes[++pos]!
    if (code !== 13 || bytes[pos + 1] !== 10 || pos >= end)
      return refuse(facts, 'a field value has a control byte or a bare LF')
    let valueEnd = pos
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === 32 || bytes[valueEnd - 1] === 9)) valueEnd--
    pos += 2
    if (isDropped) continue
    const id = identifyHeaderBytes(bytes, nameStart, nameEnd)
    spans.push(id, nameStart - base, nameEnd - base, valueStart - base, valueEnd - base)
    if (id > 0) {
      if (id < 32) facts.low |= 1 << id
      else facts.high |= 1 << (id - 32)
      if (id <= LAST_FRAMING_ID && !noteFramingField(id, text, valueStart - base, valueEnd - base, facts)) return false
    }
  }
  return refuse(facts, 'the head ends without an empty line')
}

const { host: HOST, connection: CONNECTION, expect: EXPECT, upgrade: UPGRADE } = headerId
const CONTENT_LENGTH = headerId['content-length']
const TRANSFER_ENCODING = headerId['transfer-encoding']

/** Ids up to this one (see the order in `known-headers.ts`) say something about framing or the connection. */
const LAST_FRAMING_ID = headerId['upgrade']

function noteFramingField(id: number, text: string, start: number, end: number, facts: FieldFacts): boolean {
  switch (id) {
    case HOST:
      facts.hostCount++
      facts.host = text.substring(start, end)
      return true
    case CONNECTION:
      facts.connection |= parseConnection(text, start, end)
      return true
    case CONTENT_LENGTH /* RFC 9112 6.3: digits only, once */: {
      if (facts.contentLength >= 0) return refuse(facts, 'several Content-Length fields')
      const length = parseLength(text, start, end)
      if (length < 0) return refuse(facts, 'Content-Length is not a number')
      facts.contentLength = length
      return true
    }
    case TRANSFER_ENCODING:
      if (facts.hasTransferEncoding) return refuse(facts, 'several Transfer-Encoding fields')
      facts.hasTransferEncoding = true
      // Allowed as space, but parsers are known (llhttp among them) that then read another coding.
      for (let i = end; text.charCodeAt(i) !== 13; i++)
        if (text.charCodeAt(i) === 9) return refuse(facts, 'a tab behind Transfer-Encoding')
      if (isFolded(text, start, end, 'chunked')) facts.isChunked = true
      else facts.hasOtherCoding = true
      return true
    case EXPECT:
      facts.hasExpect = true
      return true
    case UPGRADE:
      facts.hasUpgrade = true
      return true
  }
  return true
}

/** A whole number of decimal digits below 2^53, or -1. */
export function parseLength(text: string, start: number, end: number): number {
  if (end === start || end - start > 16) return -1
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1
}

function parseConnection(text: string, start: number, end: number): number {
  if (isFolded(text, start, end, 'keep-alive')) return CONNECTION_KEEP_ALIVE
  if (isFolded(text, start, end, 'close')) return CONNECTION_CLOSE
  let flags = 0
  // Only SP and HTAB are space here (RFC 9110 5.6.3); `trim` would take away a byte A0, too, and read what others do not.
  for (const part of text.substring(start, end).split(/[ \t]*,[ \t]*/)) {
    const token = part.toLowerCase()
    if (token === 'close') flags |= CONNECTION_CLOSE
    else if (token === 'keep-alive') flags |= CONNECTION_KEEP_ALIVE
    else if (token === 'upgrade') flags |= CONNECTION_UPGRADE
    else if (token !== '') flags |= CONNECTION_NAMES
  }
  return flags
}

function isFolded(text: string, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false
  for (let i = 0; i < lower.length; i++) {
    let code = text.charCodeAt(start + i)
    if (code >= 65 && code <= 90) code |= 0x20
    if (code !== lower.charCodeAt(i)) return false
  }
  return true
}

function refuse(facts: FieldFacts, problem: string): false {
  facts.problem = problem
  return false
}
