/** Asking the main thread, which owns the store. */

/** Answers are waited for this long; then the store counts as unreachable. */
const DEADLINE_MS = 5000

interface Pending<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** Questions of one kind, at most `maxPending` at a time. */
export class StoreLookups<Request, Answer> {
  readonly #send: (id: number, request: Request) => void
  readonly #maxPending: number
  readonly #pending = new Map<number, Pending<Answer>>()
  #count = 0

  constructor(send: (id: number, request: Request) => void, maxPending: number) {
    this.#send = send
    this.#maxPending = maxPending
  }

  /** Rejects with code STORE_UNAVAILABLE when the store can't be asked, does not answer in time, or too much is asked at once. */
  ask(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#pending.size >= this.#maxPending)
        return reject(storeUnavailable('too many questions to the store are under way'))
      const id = ++this.#count
      const timer = setTimeout(() => {
        this.#pending.delete(id)
        reject(storeUnavailable('the store did not answer in time'))
      }, DEADLINE_MS)
      this.#pending.set(id, { resolve, reject, timer })
      this.#send(id, request)
    })
  }

  /** An answer came; null says that the store can't be asked. One that comes after its time is dropped. */
  found(id: number, answer: Answer | null): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    clearTimeout(pending.timer)
    if (answer === null) pending.reject(storeUnavailable('the store cannot be asked'))
    else pending.resolve(answer)
  }
}

function storeUnavailable(message: string): Error {
  return Object.assign(new Error(message), { code: 'STORE_UNAVAILABLE' })
}
