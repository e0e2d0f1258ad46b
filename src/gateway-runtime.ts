/** Answers the questions of workers about short-lived values from the store of this node or cluster. */
import type { RuntimeStore } from '#store/contract.ts'
import type { GatewayLog } from '#telemetry/logger.ts'
import type { RuntimeAnswer, RuntimeRequest } from './worker-runtime.ts'

export class RuntimeRequests {
  readonly #store: RuntimeStore
  readonly #log: GatewayLog
  #isFailing = false

  constructor(store: RuntimeStore, log: GatewayLog) {
    this.#store = store
    this.#log = log
  }

  /** Null when the store can't be asked. Says once that it began to fail, and once that it works again. */
  async answer(request: RuntimeRequest): Promise<RuntimeAnswer | null> {
    try {
      const value = await this.#perform(request)
      if (this.#isFailing) this.#log.log.info({}, 'the store of short-lived values can be asked again')
      this.#isFailing = false
      return { value }
    } catch (error) {
      if (!this.#isFailing)
        this.#log.log.error({ err: error, space: request.space }, 'the store of short-lived values cannot be asked')
      this.#isFailing = true
      return null
    }
  }

  #perform(request: RuntimeRequest): Promise<unknown> {
    const { space, key } = request
    switch (request.op) {
      case 'get':
        return this.#store.get(space, key)
      case 'take':
        return this.#store.take(space, key)
      case 'delete':
        return this.#store.delete(space, key)
      case 'put':
        return this.#store.put(space, key, request.value, request.ttlMs)
      case 'putIfAbsent':
        return this.#store.putIfAbsent(space, key, request.value, request.ttlMs)
    }
  }
}
