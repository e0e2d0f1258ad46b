/** Header fields as HPACK knows them: the static table (RFC 7541 Appendix A), and what is checked about each field once. */
import { identifyHeader } from '../known-headers.ts'

/** What a field may be; decided when its text is first seen, so that a repetition by index costs nothing. */
export const ORDINARY = 0
export const PSEUDO = 1
/** The name has token characters that nginx does not take: checked, then left out, as over HTTP/1.1. */
export const DROPPED = 2
/** Name or value has what RFC 9113 8.2.1 forbids: the message is malformed. */
export const MALFORMED = 3

/** What a name's byte may be: 1 as nginx and Kong take it, 2 another token character, 0 refused (capital letters, too). */
const NAME = new Uint8Array(256)
for (const c of 'abcdefghijklmnopqrstuvwxyz0123456789-_') NAME[c.charCodeAt(0)] = 1
for (const c of "!#$%&'*+.^`|~") NAME[c.charCodeAt(0)] = 2

const VALUE = new Uint8Array(256)
for (let c = 0x20; c < 0x100; c++) if (c !== 0x7f) VALUE[c] = 1
VALUE[9] = 1

export class Field {
  readonly name: string
  readonly value: string
  /** Of the known header; 0 for others. */
  readonly id: number
  readonly kind: number

  constructor(name: string, value: string, id: number, kind: number) {
    this.name = name
    this.value = value
    this.id = id
    this.kind = kind
  }

  /** What it counts in tables and lists (RFC 7541 4.1). */
  get size(): number {
    return this.name.length + this.value.length + 32
  }
}

/** Stands in a list of fields for those that were over the limit. */
export const TOO_MANY = new Field('', '', 0, MALFORMED)

export function newField(name: string, value: string): Field {
  const kind = kindOfName(name)
  return new Field(name, value, identifyHeader(name, 0, name.length), isValue(value) ? kind : MALFORMED)
}

/** A field with the name, already checked, of another. */
export function fieldLike(other: Field, value: string): Field {
  const kind = other.kind === MALFORMED ? kindOfName(other.name) : other.kind
  return new Field(other.name, value, other.id, isValue(value) ? kind : MALFORMED)
}

function kindOfName(name: string): number {
  const { length } = name
  if (length === 0) return MALFORMED
  if (name.charCodeAt(0) === 58) return PSEUDO
  let kind = ORDINARY
  for (let i = 0; i < length; i++) {
    const byte = NAME[name.charCodeAt(i)]!
    if (byte === 1) continue
    if (byte === 0) return MALFORMED
    kind = DROPPED
  }
  return kind
}

/** No control characters, and no space at either end, which somebody behind us might read in another way. */
function isValue(value: string): boolean {
  const { length } = value
  if (length === 0) return true
  for (let i = 0; i < length; i++) if (VALUE[value.charCodeAt(i)] !== 1) return false
  const first = value.charCodeAt(0)
  const last = value.charCodeAt(length - 1)
  return first !== 32 && first !== 9 && last !== 32 && last !== 9
}

const STATIC: readonly (readonly [name: string, ...values: string[]])[] = [
  [':authority', ''],
  [':method', 'GET', 'POST'],
  [':path', '/', '/index.html'],
  [':scheme', 'http', 'https'],
  [':status', '200', '204', '206', '304', '400', '404', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
]

/** The table from index 1 on; 0 is no index. */
export const staticFields: readonly Field[] = [
  newField('', ''),
  ...STATIC.flatMap(([name, ...values]) => values.map((value) => newField(name, value))),
]

/** The first index of each name. */
export const staticNames: ReadonlyMap<string, number> = new Map(
  staticFields
    .map(({ name }, index) => [name, index] as const)
    .slice(1)
    .toReversed(),
)
