/** Ids in order, kept in chunks so that inserting and deleting cost about the same with ten as with a million. */
const CHUNK = 512

export class OrderedIds {
  readonly #chunks: string[][] = []

  /** Adds an id; one that is there already stays once. */
  add(id: string): void {
    const at = Math.min(this.#chunkOf(id), this.#chunks.length - 1)
    const chunk = this.#chunks[at]
    if (!chunk) {
      this.#chunks.push([id])
      return
    }
    const index = lowerBound(chunk, id)
    if (chunk[index] === id) return
    chunk.splice(index, 0, id)
    if (chunk.length > CHUNK) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK / 2))
  }

  delete(id: string): void {
    const at = this.#chunkOf(id)
    const chunk = this.#chunks[at]
    if (!chunk) return
    const index = lowerBound(chunk, id)
    if (chunk[index] !== id) return
    chunk.splice(index, 1)
    if (chunk.length === 0) this.#chunks.splice(at, 1)
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0
  }

  /** The ids greater than this one, in order. Changes during the iteration may or may not be seen. */
  *after(id: string): IterableIterator<string> {
    for (let at = this.#chunkOf(id); at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at] as string[]
      for (let i = lowerBound(chunk, id); i < chunk.length; i++) {
        const next = chunk[i] as string
        if (next > id) yield next
      }
    }
  }

  /** The first chunk whose last id is not less than this id: where it is, or belongs. */
  #chunkOf(id: string): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const last = (this.#chunks[middle] as string[]).at(-1) as string
      if (last < id) low = middle + 1
      else high = middle
    }
    return low
  }
}

function lowerBound(list: readonly string[], id: string): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((list[middle] as string) < id) low = middle + 1
    else high = middle
  }
  return low
}
