/** XXH32 (xxHash specification, seed 0): the hash of Kong's consistent hashing, so that a key stays with its target after a move. */

const PRIME_1 = 0x9e3779b1
const PRIME_2 = 0x85ebca77
const PRIME_3 = 0xc2b2ae3d
const PRIME_4 = 0x27d4eb2f
const PRIME_5 = 0x165667b1

/** Hashes the bytes of a text: one per character where all are below 256, as text from the wire is kept; else those of UTF-8. */
export function xxhash32(text: string): number {
  const { length } = text
  let bits = 0
  for (let i = 0; i < length; i++) bits |= text.charCodeAt(i)
  return bits > 0xff ? hash(Buffer.from(text, 'utf8').toString('latin1')) : hash(text)
}

function hash(text: string): number {
  const { length } = text
  let at = 0
  let h: number
  if (length >= 16) {
    let v1 = (PRIME_1 + PRIME_2) | 0
    let v2 = PRIME_2 | 0
    let v3 = 0
    let v4 = -PRIME_1 | 0
    for (; at <= length - 16; at += 16) {
      v1 = round(v1, read32(text, at))
      v2 = round(v2, read32(text, at + 4))
      v3 = round(v3, read32(text, at + 8))
      v4 = round(v4, read32(text, at + 12))
    }
    h = (rotate(v1, 1) + rotate(v2, 7) + rotate(v3, 12) + rotate(v4, 18)) | 0
  } else h = PRIME_5
  h = (h + length) | 0
  for (; at <= length - 4; at += 4) h = Math.imul(rotate((h + Math.imul(read32(text, at), PRIME_3)) | 0, 17), PRIME_4)
  for (; at < length; at++) h = Math.imul(rotate((h + Math.imul(text.charCodeAt(at), PRIME_5)) | 0, 11), PRIME_1)
  h = Math.imul(h ^ (h >>> 15), PRIME_2)
  h = Math.imul(h ^ (h >>> 13), PRIME_3)
  return (h ^ (h >>> 16)) >>> 0
}

function round(accumulator: number, input: number): number {
  return Math.imul(rotate((accumulator + Math.imul(input, PRIME_2)) | 0, 13), PRIME_1)
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

function read32(text: string, at: number): number {
  return (
    text.charCodeAt(at) |
    (text.charCodeAt(at + 1) << 8) |
    (text.charCodeAt(at + 2) << 16) |
    (text.charCodeAt(at + 3) << 24)
  )
}
