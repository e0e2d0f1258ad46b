/** Random numbers that follow from a seed (sfc32): all chance in a simulation comes from one of these. */
export class Random {
  #a: number
  #b = 0x9e3779b9
  #c = 0x243f6a88
  #counter = 1

  constructor(seed: number) {
    this.#a = seed | 0
    this.#b ^= Math.floor(seed / 2 ** 32)
    for (let round = 0; round < 12; round++) this.next()
  }

  /** 0 to 1, without 1. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (this.#c << 21) | (this.#c >>> 11)
    this.#c = (this.#c + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from)
  }

  /** 0 to `below` - 1. */
  integer(below: number): number {
    return Math.floor(this.next() * below)
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('expected items to pick one of, got none')
    return items[this.integer(items.length)] as T
  }

  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items]
    for (let index = result.length - 1; index > 0; index--) {
      const other = this.integer(index + 1)
      const item = result[index] as T
      result[index] = result[other] as T
      result[other] = item
    }
    return result
  }

  bytes(size: number): Buffer {
    return Buffer.from(Array.from({ length: size }, () => this.integer(256)))
  }
}
