/** Sends copies, a few at a time, and forgets the answers. What can't be sent soon is dropped: nothing waits for it. */
import type { LookupFunction } from 'node:net'
import type { Agent } from 'undici'
import type { CopyHead } from './copy.ts'

export interface SenderOptions {
  readonly queueSize: number
  readonly concurrency: number
  /** For a whole copy, with its answer. */
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  readonly isVerified: boolean
  /** PEM of authorities; null for Node's own list. */
  readonly trusted: string | null
  readonly lookup: LookupFunction
  /** Null: the shadow answered; else why not. */
  readonly ended: (problem: string | null, bytes: number) => void
}

/** Of an answer nothing is needed; more than this closes the connection. */
const ANSWER_BYTES = 64 * 1024
const KEEPALIVE_MS = 30_000

interface Copy {
  readonly head: CopyHead
  readonly body: Buffer | null
}

export class Sender {
  readonly #options: SenderOptions
  readonly #waiting: Copy[] = []
  #underWay = 0
  /** Copies whose bodies are yet to come. */
  #reserved = 0
  #isClosed = false
  readonly #agent: Promise<Agent>

  constructor(options: SenderOptions) {
    this.#options = options
    // Loading it takes as long as starting a small program, which no request is to wait for.
    this.#agent = import('undici').then(({ Agent }) => this.#open(Agent))
  }

  /** Makes room for a copy, to be filled by `send` or given back; false when there is none. */
  reserve(): boolean {
    const { queueSize, concurrency } = this.#options
    if (this.#isClosed || this.#reserved + this.#waiting.length + this.#underWay >= queueSize + concurrency)
      return false
    this.#reserved++
    return true
  }

  giveBack(): void {
    this.#reserved--
  }

  /** Takes over the room that was reserved. */
  send(head: CopyHead, body: Buffer | null): void {
    this.#reserved--
    if (this.#isClosed) return
    this.#waiting.push({ head, body })
    this.#next()
  }

  /** What waits is dropped, what is under way cut. */
  close(): void {
    this.#isClosed = true
    this.#waiting.length = 0
    void this.#agent.then((agent) => agent.destroy())
  }

  #next(): void {
    while (this.#underWay < this.#options.concurrency && this.#waiting.length > 0) {
      const copy = this.#waiting.shift()!
      this.#underWay++
      void this.#transfer(copy)
        .then((problem) => {
          if (!this.#isClosed) this.#options.ended(problem, copy.body?.length ?? 0)
        })
        .finally(() => {
          this.#underWay--
          this.#next()
        })
    }
  }

  /** Never rejects. */
  async #transfer({ head, body }: Copy): Promise<string | null> {
    try {
      const agent = await this.#agent
      const response = await agent.request({
        origin: head.origin,
        path: head.path,
        method: head.method,
        headers: [...head.headers],
        body,
        signal: AbortSignal.timeout(this.#options.timeoutMs),
      })
      await response.body.dump({ limit: ANSWER_BYTES })
      return null
    } catch (error) {
      const { code, name, message } = error as { code?: unknown; name: string; message: string }
      if (name === 'TimeoutError' || name === 'AbortError') return 'no answer in time'
      return typeof code === 'string' ? code : message
    }
  }

  #open(AgentOf: typeof Agent): Agent {
    const { concurrency, timeoutMs, connectTimeoutMs, lookup, isVerified, trusted } = this.#options
    return new AgentOf({
      connections: concurrency,
      pipelining: 1,
      keepAliveTimeout: KEEPALIVE_MS,
      keepAliveMaxTimeout: KEEPALIVE_MS,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      connect: {
        timeout: connectTimeoutMs,
        lookup,
        rejectUnauthorized: isVerified,
        ...(trusted !== null && { ca: trusted }),
      },
    })
  }
}
