/**
 * Time that only moves when nothing is left to do at the present moment. Events stand in a heap by moment, and by order of their
 * making at the same one. After an event that let a waiting promise go on, all that follows from it runs before the next event: the
 * turn of the real event loop that is awaited there comes after the last microtask. So a run follows from its seed alone.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'

interface Event {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class VirtualTime {
  readonly #heap: Event[] = []
  #order = 0
  #isWoken = false
  nowMs = 0
  /** Events that were run. */
  events = 0

  after(ms: number, run: () => void): void {
    push(this.#heap, { atMs: this.nowMs + ms, order: this.#order++, run })
  }

  delay(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, () => this.wake(resolve)))
  }

  /** Lets a promise go on that code under test waits for. */
  wake(settle: () => void): void {
    this.#isWoken = true
    settle()
  }

  /** Moves time until `work` has ended. Throws when it waits for what never comes, or runs more events than allowed. */
  async run<T>(work: () => Promise<T>, limit = Infinity): Promise<T> {
    const state = { isDone: false }
    const result = work().finally(() => {
      state.isDone = true
    })
    // Who awaits `run` gets it; a failure may stand for a while before.
    result.catch(() => {})
    await nextTurn()
    const last = this.events + limit
    while (!state.isDone) {
      const event = pop(this.#heap)
      if (!event) throw new Error(`everything waits, and nothing is under way at ${this.nowMs} ms`)
      if (++this.events > last) throw new Error(`expected the work to end within ${limit} events`)
      this.nowMs = event.atMs
      event.run()
      if (!this.#isWoken) continue
      this.#isWoken = false
      await nextTurn()
    }
    return result
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

function push(heap: Event[], event: Event): void {
  let index = heap.length
  heap.push(event)
  while (index > 0) {
    const parent = (index - 1) >> 1
    const above = heap[parent] as Event
    if (!isBefore(event, above)) break
    heap[index] = above
    index = parent
  }
  heap[index] = event
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (!first || !last || heap.length === 0) return first
  let index = 0
  for (;;) {
    let child = 2 * index + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++
    if (!isBefore(heap[child] as Event, last)) break
    heap[index] = heap[child] as Event
    index = child
  }
  heap[index] = last
  return first
}
