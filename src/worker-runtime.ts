/** The short-lived values of plugins, as a worker gets at them: through the main thread, which owns the store. */
import { LRUCache } from 'lru-cache'
import type { RuntimeValue, RuntimeValues } from '#pdk/pdk.ts'
import { StoreLookups } from './worker-lookups.ts'

export type RuntimeRequest =
  | { readonly op: 'get' | 'take' | 'delete'; readonly space: string; readonly key: string }
  | {
      readonly op: 'put' | 'putIfAbsent'
      readonly space: string
      readonly key: string
      readonly value: RuntimeValue
      readonly ttlMs: number
    }

/** In an object, because null says that the store can't be asked. */
export interface RuntimeAnswer {
  readonly value: unknown
}

const MAX_PENDING = 10_000
/** How long `recall` may answer from memory, and for how many values. */
const RECALLED_MS = 1000
const MAX_RECALLED = 10_000

export class WorkerRuntime {
  readonly #questions: StoreLookups<RuntimeRequest, RuntimeAnswer>
  readonly #recalled = new LRUCache<string, RuntimeValue | Promise<RuntimeValue | undefined>>({
    max: MAX_RECALLED,
    ttl: RECALLED_MS,
  })

  constructor(send: (id: number, request: RuntimeRequest) => void) {
    this.#questions = new StoreLookups(send, MAX_PENDING)
  }

  answered(id: number, answer: RuntimeAnswer | null): void {
    this.#questions.found(id, answer)
  }

  /** The values of one plugin; no other plugin gets at them. */
  of(plugin: string): RuntimeValues {
    const inPlugin = (space: string) => `${plugin}/${space}`
    return {
      get: (space, key) => this.#ask({ op: 'get', space: inPlugin(space), key }) as Promise<RuntimeValue | undefined>,
      recall: (space, key) => this.#recall(inPlugin(space), key),
      take: (space, key) =>
        this.#change({ op: 'take', space: inPlugin(space), key }) as Promise<RuntimeValue | undefined>,
      put: async (space, key, value, ttlMs) => {
        await this.#change({ op: 'put', space: inPlugin(space), key, value, ttlMs })
      },
      putIfAbsent: (space, key, value, ttlMs) =>
        this.#change({ op: 'putIfAbsent', space: inPlugin(space), key, value, ttlMs }) as Promise<boolean>,
      delete: async (space, key) => {
        await this.#change({ op: 'delete', space: inPlugin(space), key })
      },
    }
  }

  async #ask(request: RuntimeRequest): Promise<unknown> {
    return (await this.#questions.ask(request)).value
  }

  /** Forgets before and after, because a recall may be under way meanwhile. */
  async #change(request: RuntimeRequest): Promise<unknown> {
    const at = placeOf(request.space, request.key)
    this.#recalled.delete(at)
    try {
      return await this.#ask(request)
    } finally {
      this.#recalled.delete(at)
    }
  }

  #recall(space: string, key: string): RuntimeValue | undefined | Promise<RuntimeValue | undefined> {
    const at = placeOf(space, key)
    const recalled = this.#recalled.get(at)
    if (recalled !== undefined) return recalled
    const asked = this.#ask({ op: 'get', space, key }) as Promise<RuntimeValue | undefined>
    this.#recalled.set(at, asked)
    return asked.then(
      (value) => {
        if (this.#recalled.peek(at) === asked) this.#keep(at, value)
        return value
      },
      (error: unknown) => {
        if (this.#recalled.peek(at) === asked) this.#recalled.delete(at)
        throw error
      },
    )
  }

  /** What is not there may be put by another worker at any moment, and is not remembered. */
  #keep(at: string, value: RuntimeValue | undefined): void {
    if (value === undefined) this.#recalled.delete(at)
    else this.#recalled.set(at, value)
  }
}

function placeOf(space: string, key: string): string {
  return `${space}\0${key}`
}
