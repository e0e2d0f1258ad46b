/** Looking entities up through the main thread, which owns the store. */
import type { Document } from '#model/document.ts'
import type { LookupRequest } from '#snapshot/entity-cache.ts'

/** Answers are waited for this long; then the store counts as unreachable. */
const DEADLINE_MS = 5000

interface Pending {
  readonly resolve: (documents: readonly Document[]) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** The number of look-ups under way is bounded by who asks (`EntityCache`). */
export class StoreLookups {
  readonly #send: (id: number, request: LookupRequest) => void
  readonly #pending = new Map<number, Pending>()
  #count = 0

  constructor(send: (id: number, request: LookupRequest) => void) {
    this.#send = send
  }

  /** Rejects with code STORE_UNAVAILABLE when the store can't be asked or does not answer in time. */
  ask(request: LookupRequest): Promise<readonly Document[]> {
    return new Promise((resolve, reject) => {
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
  found(id: number, documents: readonly Document[] | null): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    clearTimeout(pending.timer)
    if (documents === null) pending.reject(storeUnavailable('the store cannot be asked'))
    else pending.resolve(documents)
  }
}

function storeUnavailable(message: string): Error {
  return Object.assign(new Error(message), { code: 'STORE_UNAVAILABLE' })
}
