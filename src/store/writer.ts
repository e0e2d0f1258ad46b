/**
 * The one place that turns requests for change into transactions. Requests that wait at the same time are committed together
 * (group commit): each is built on the state that the ones before it leave, is judged by itself, and gets its own result; one
 * that is refused takes nobody with it. When another node took the revision, all of the round is built and judged again.
 */
import type { ConfigStore, Head, Operation, Origin, StateReader, Transaction, Violation } from './contract.ts'
import { computeEffects } from './effects.ts'
import type { Gathering } from './gather.ts'
import type { Keyring } from './keyring.ts'
import { Projection } from './projection.ts'
import { RunningState } from './running-state.ts'
import { Secrets, type Definitions } from './secrets.ts'

export interface WriterOptions {
  readonly store: ConfigStore
  readonly definitions: Definitions
  readonly keyring: Keyring
  readonly nowMs: () => number
  readonly uuid: () => string
  /** 0 to 1, for the jitter between two attempts. */
  readonly random: () => number
  readonly delay: (ms: number) => Promise<void>
  /**
   * Waited for before each group, so that all who ask at this moment are in it. On real sockets that is at least the
   * end of the event loop's turn: promises alone run between two requests of the same turn, and then every write is a group.
   */
  readonly gather?: (gathering: Gathering) => Promise<void>
  /** How long a write may wait and retry before it is given up. */
  readonly deadlineMs?: number
  /** Writes that may wait; further ones are turned away. */
  readonly queueLimit?: number
  /** Writes that are committed together at most. */
  readonly groupLimit?: number
}

/** What a request wants done, or why it can't be: `refusal` is given back as it is. */
export type Built<R> = { readonly operations: readonly Operation[] } | { readonly refusal: R }

/**
 * Reads the state and says what to do. Called again when the state has moved meanwhile, so it must have no effects of its own;
 * only what its last call said counts.
 */
export type Build<R> = (state: StateReader, head: Head) => Promise<Built<R>>

export interface WriteOptions {
  readonly origin: Origin
  /** `If-Match`: the revision that the writer saw; anything committed since then fails the write. */
  readonly ifRevision?: number
}

export type WriteResult<R> =
  | { readonly outcome: 'appended'; readonly revision: number; readonly txid: string }
  /** The build asked for no operation. */
  | { readonly outcome: 'unchanged'; readonly revision: number }
  | { readonly outcome: 'refused'; readonly refusal: R }
  | { readonly outcome: 'violation'; readonly violation: Violation }
  | { readonly outcome: 'precondition_failed'; readonly revision: number }
  /** Nobody can tell yet whether it was committed: `GET /log/tx/{txid}`. */
  | { readonly outcome: 'open'; readonly txid: string }
  /** Not committed, and not tried any longer. */
  | { readonly outcome: 'unavailable'; readonly reason: 'deadline' | 'queue_full' | 'closed' }

export interface Writer {
  /** Rejects when the build throws or the store fails. */
  write<R = never>(build: Build<R>, options: WriteOptions): Promise<WriteResult<R>>
  /** Refuses new writes and waits for those under way. */
  close(): Promise<void>
}

/** Operations that are committed together at most, unless one request alone has more: bounds what a failed round costs. */
const GROUP_OPERATIONS = 10_000
const FIRST_RETRY_MS = 5
const LONGEST_RETRY_MS = 500

export function createWriter(options: WriterOptions): Writer {
  return new GroupWriter(options)
}

class Request {
  readonly txid: string
  readonly build: Build<unknown>
  readonly options: WriteOptions
  readonly deadlineAtMs: number
  /** Has its answer: it must not be built again, and nothing of it committed any more. */
  isDone = false
  readonly #resolve: (result: WriteResult<unknown>) => void
  readonly #reject: (error: unknown) => void

  constructor(
    txid: string,
    build: Build<unknown>,
    options: WriteOptions,
    deadlineAtMs: number,
    resolve: (result: WriteResult<unknown>) => void,
    reject: (error: unknown) => void,
  ) {
    this.txid = txid
    this.build = build
    this.options = options
    this.deadlineAtMs = deadlineAtMs
    this.#resolve = resolve
    this.#reject = reject
  }

  settle(result: WriteResult<unknown>): void {
    this.isDone = true
    this.#resolve(result)
  }

  fail(error: unknown): void {
    this.isDone = true
    this.#reject(error)
  }
}

interface Accepted {
  readonly request: Request
  readonly operations: readonly Operation[]
}
interface Judged {
  readonly request: Request
  readonly result: WriteResult<unknown>
}

class GroupWriter implements Writer {
  readonly #options: WriterOptions
  readonly #projection: Projection
  readonly #deadlineMs: number
  readonly #queueLimit: number
  readonly #groupLimit: number
  #queue: Request[] = []
  #draining: Promise<void> | null = null
  #last = { lastSize: 0, lastMs: 0 }
  #closed = false

  constructor(options: WriterOptions) {
    this.#options = options
    this.#projection = new Projection(options.definitions.entities, new Secrets(options.definitions, options.keyring))
    this.#deadlineMs = options.deadlineMs ?? 10_000
    this.#queueLimit = options.queueLimit ?? 10_000
    this.#groupLimit = options.groupLimit ?? 256
  }

  write<R = never>(build: Build<R>, options: WriteOptions): Promise<WriteResult<R>> {
    if (this.#closed) return Promise.resolve({ outcome: 'unavailable', reason: 'closed' })
    if (this.#queue.length >= this.#queueLimit) return Promise.resolve({ outcome: 'unavailable', reason: 'queue_full' })
    return new Promise((resolve, reject) => {
      const { uuid, nowMs } = this.#options
      const settle = resolve as (result: WriteResult<unknown>) => void
      this.#queue.push(new Request(uuid(), build, options, nowMs() + this.#deadlineMs, settle, reject))
      this.#draining ??= this.#drain()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#draining
  }

  async #drain(): Promise<void> {
    const { gather = () => Promise.resolve() } = this.#options
    while (this.#queue.length > 0) {
      await gather({ queued: () => this.#queue.length, ...this.#last })
      const group = this.#queue.splice(0, this.#groupLimit)
      const startMs = this.#options.nowMs()
      await this.#commit(group)
      this.#last = { lastSize: group.length, lastMs: this.#options.nowMs() - startMs }
    }
    this.#draining = null
  }

  /** Settles every request, each by its own result. */
  async #commit(requests: readonly Request[]): Promise<void> {
    let waiting = requests
    let failures = 0
    while (waiting.length > 0) {
      try {
        if (failures > 0) await this.#options.delay(this.#pause(failures))
        const rest = (await this.#round(this.#inTime(waiting))).filter((request) => !request.isDone)
        failures = rest.length < waiting.length ? 0 : failures + 1
        waiting = rest
      } catch (error) {
        for (const request of waiting) request.fail(error)
        return
      }
    }
  }

  /** Builds, judges and appends once; gives back the requests that have to be tried again. */
  async #round(requests: readonly Request[]): Promise<readonly Request[]> {
    const { store } = this.#options
    const atMs = this.#options.nowMs()
    const head = await store.head()
    const { accepted, judged, left } = await this.#judge(requests, head, atMs)
    const settleJudged = () => judged.forEach(({ request, result }) => request.settle(result))

    if (accepted.length === 0) {
      // Judged by reads that others' commits may have torn apart: it holds only when nothing was committed meanwhile.
      if ((await store.head()).revision !== head.revision) return requests
      settleJudged()
      return left
    }
    const result = await store.append(this.#transaction(accepted, atMs), head.revision)
    switch (result.outcome) {
      case 'appended':
        for (const { request } of accepted) {
          request.settle({ outcome: 'appended', revision: result.entry.revision, txid: request.txid })
        }
        settleJudged()
        return left
      case 'conflict':
        return requests
      case 'open':
        for (const { request } of accepted) request.settle({ outcome: 'open', txid: request.txid })
        // They were judged by a state that may never come to be.
        return [...judged.map(({ request }) => request), ...left]
      case 'refused': {
        const [only, ...others] = accepted
        if (only && others.length === 0) only.request.settle({ outcome: 'violation', violation: result.violation })
        // Valid one by one and not together: too large, for example.
        else for (const { request } of accepted) await this.#commit([request])
        return [...judged.map(({ request }) => request), ...left]
      }
    }
  }

  async #judge(requests: readonly Request[], head: Head, atMs: number) {
    const accepted: Accepted[] = []
    const judged: Judged[] = []
    const running = new RunningState(this.#options.store, this.#projection, head.revision + 1)
    let operations = 0
    for (const [index, request] of requests.entries()) {
      const { ifRevision } = request.options
      const revision = head.revision + (accepted.length > 0 ? 1 : 0)
      if (ifRevision !== undefined && (accepted.length > 0 || ifRevision !== head.revision)) {
        judged.push({ request, result: { outcome: 'precondition_failed', revision } })
        continue
      }
      const built = await this.#build(request, running, head)
      if (!built) continue
      if ('refusal' in built) {
        judged.push({ request, result: { outcome: 'refused', refusal: built.refusal } })
        continue
      }
      if (built.operations.length === 0) {
        judged.push({ request, result: { outcome: 'unchanged', revision } })
        continue
      }
      operations += built.operations.length
      if (accepted.length > 0 && operations > GROUP_OPERATIONS) return { accepted, judged, left: requests.slice(index) }
      // A request that is alone is judged by the store itself.
      const violation = requests.length > 1 && (await this.#stage(running, built.operations, atMs, head))
      if (violation) judged.push({ request, result: { outcome: 'violation', violation } })
      else accepted.push({ request, operations: built.operations })
    }
    return { accepted, judged, left: [] }
  }

  async #build(request: Request, state: StateReader, head: Head): Promise<Built<unknown> | undefined> {
    try {
      return await request.build(state, head)
    } catch (error) {
      request.fail(error)
      return undefined
    }
  }

  /** Puts the operations on top of the running state, or says which rule they break and leaves it as it was. */
  async #stage(
    running: RunningState,
    operations: readonly Operation[],
    atMs: number,
    head: Head,
  ): Promise<Violation | undefined> {
    const result = await computeEffects(running, this.#projection, { operations, atMs }, head.revision + 1)
    if (!result.ok) return result.violation
    for (const { kind, workspace, id, after } of result.effects) {
      if (after) await running.put(kind, workspace, after)
      else await running.remove(kind, id)
    }
    return undefined
  }

  #transaction(accepted: readonly Accepted[], atMs: number): Transaction {
    const operations = accepted.flatMap((member) => member.operations)
    const [only, ...others] = accepted
    if (only && others.length === 0)
      return { txid: only.request.txid, operations, origin: only.request.options.origin, atMs }
    const members = accepted.map(({ request, operations: own }) => ({
      txid: request.txid,
      origin: request.options.origin,
      operations: own.length,
    }))
    return { txid: this.#options.uuid(), operations, origin: { actor: 'group', via: 'group' }, atMs, members }
  }

  #inTime(requests: readonly Request[]): readonly Request[] {
    const nowMs = this.#options.nowMs()
    return requests.filter((request) => {
      const isInTime = nowMs < request.deadlineAtMs
      if (!isInTime) request.settle({ outcome: 'unavailable', reason: 'deadline' })
      return isInTime
    })
  }

  #pause(attempt: number): number {
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt)
    return longest * (0.5 + this.#options.random() / 2)
  }
}
