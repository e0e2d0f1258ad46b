/** Sends copies, a few at a time, and forgets the answers. What can't be sent soon is dropped: nothing waits for it. */
import type { Agent } from 'undici'
import { agentOptions, requestFailure, type HttpAgentOptions } from '#pdk/http-agent.ts'
import type { CopyHead } from './copy.ts'

/** `timeoutMs` is for a whole copy, with its answer. */
export interface SenderOptions extends Omit<HttpAgentOptions, 'connections' | 'keepaliveMs'> {
  readonly queueSize: number
  readonly concurrency: number
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
    const connection = { ...options, connections: options.concurrency, keepaliveMs: KEEPALIVE_MS }
    // Loading it takes as long as starting a small program, which no request is to wait for.
    this.#agent = import('undici').then(({ Agent }) => new Agent(agentOptions(connection)))
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
      return requestFailure(error)
    }
  }
}
