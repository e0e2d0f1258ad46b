/**
 * A fast keyed hash of a text to 96 bits, for tables in shared memory that keep no strings. Not for secrets: the key only keeps
 * a stranger from preparing texts that fall together.
 */
export class TextHash {
  /** The results of the last `hash`, as signed 32-bit integers: fields, so that nothing is allocated. */
  a = 0
  b = 0
  c = 0
  readonly #seedA: number
  readonly #seedB: number

  constructor(seedA: number, seedB: number) {
    this.#seedA = seedA | 0
    this.#seedB = seedB | 0
  }

  /** Two independent 32-bit multiply-and-rotate lanes over the UTF-16 units, two at a time; the third result mixes both in another way. */
  hash(text: string): void {
    let a = this.#seedA
    let b = this.#seedB
    const { length } = text
    const pairs = length & ~1
    for (let i = 0; i < pairs; i += 2) {
      const units = text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16)
      a = Math.imul(a ^ units, 0x85ebca6b)
      a = (a << 13) | (a >>> 19)
      b = Math.imul(b + units, 0xc2b2ae35)
      b ^= b >>> 15
    }
    if (pairs < length) {
      const unit = text.charCodeAt(pairs)
      a = Math.imul(a ^ unit, 0x85ebca6b)
      b = Math.imul(b + unit, 0xc2b2ae35)
      b ^= b >>> 15
    }
    a ^= length
    const c = Math.imul(a ^ ((b << 16) | (b >>> 16)), 0x27d4eb2f)
    this.a = finish(a ^ Math.imul(b, 0x9e3779b1))
    this.b = finish(b)
    this.c = finish(c ^ (a >>> 7))
  }
}

/** Murmur3's finaliser: every input bit changes every output bit with probability a half. */
function finish(hash: number): number {
  let h = hash ^ (hash >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
