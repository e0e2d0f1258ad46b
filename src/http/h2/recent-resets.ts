/** Streams that we reset and on which frames may still come, because the peer does not know yet; the oldest are forgotten. */
const REMEMBERED = 256

export class RecentResets {
  #ids = new Set<number>()

  add(id: number): void {
    this.#ids.add(id)
    if (this.#ids.size <= REMEMBERED) return
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest)
      return
    }
  }

  has(id: number): boolean {
    return this.#ids.has(id)
  }
}
