/** One question to the configured name servers: which of them, how often, over what, and for how long. */
import { encodeQuestion, RCODE, readAnswer, type Answer, type RecordType } from './message.ts'
import type { NameServer } from './name-server.ts'
import { askTcp, askUdp, type Cancellation, type TransportFailure } from './transport.ts'

export interface QueryPlan {
  readonly nameServers: readonly NameServer[]
  readonly timeoutMs: number
  readonly attempts: number
  readonly rotate: boolean
}

/** An answer of any rcode, or why there is none. */
export type QueryResult = Answer | TransportFailure

export interface NameServersOptions {
  /** Read at each question, so that a changed resolv.conf counts from the next one on. */
  readonly plan: () => QueryPlan
  readonly nowMs: () => number
  /** 0..65535, unpredictable. */
  readonly randomId: () => number
  readonly cancellation: Cancellation
}

/** Sockets open at a time. A start with thousands of target names must not run into the limit of open files. */
const MAX_CONCURRENT = 128
/** Questions that wait for a socket; each belongs to a look-up with a deadline, so the list empties by itself. */
const MAX_WAITING = 20_000

export class NameServers {
  readonly #options: NameServersOptions
  /** Index of the server that is asked first: the one that answered last, or the next one with `rotate`. */
  #current = 0
  #open = 0
  readonly #waiting: (() => void)[] = []
  /** Messages sent, over UDP and TCP. */
  sent = 0

  constructor(options: NameServersOptions) {
    this.#options = options
  }

  /** Asks until a server gives a usable answer, every server and attempt had its chance, or `deadlineMs` is reached. */
  async query(name: string, type: RecordType, deadlineMs: number): Promise<QueryResult> {
    if (this.#open >= MAX_CONCURRENT) {
      if (this.#waiting.length >= MAX_WAITING) return { failure: 'too many questions wait for a name server' }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#open++
    try {
      return await this.#askServers(name, type, deadlineMs)
    } finally {
      this.#open--
      this.#waiting.shift()?.()
    }
  }

  async #askServers(name: string, type: RecordType, deadlineMs: number): Promise<QueryResult> {
    const { nameServers, timeoutMs, attempts, rotate } = this.#options.plan()
    const first = this.#current
    if (rotate) this.#current = (first + 1) % nameServers.length
    // Every server gets a chance, also when resolv.conf lists more of them than attempts.
    const tries = Math.max(attempts, nameServers.length)
    let last: QueryResult = { failure: 'timeout' }
    for (let attempt = 0; attempt < tries; attempt++) {
      if (this.#options.cancellation.isCancelled) return { failure: 'closed' }
      const now = this.#options.nowMs()
      if (now >= deadlineMs) return last
      const tryEndsAtMs = Math.min(deadlineMs, now + timeoutMs)
      const index = (first + attempt) % nameServers.length
      const result = await this.#askServer(nameServers[index]!, name, type, tryEndsAtMs)
      if ('rcode' in result && (result.rcode === RCODE.ok || result.rcode === RCODE.nameError)) {
        if (!rotate) this.#current = index
        return result
      }
      // What a server said tells more than that another one was silent.
      if ('rcode' in result || !('rcode' in last)) last = result
      // A server that says that it can't will say so again; those that were not asked yet may know.
      if ('rcode' in result && attempt >= nameServers.length - 1) return last
    }
    return last
  }

  async #askServer(server: NameServer, name: string, type: RecordType, endsAtMs: number): Promise<QueryResult> {
    let result = await this.#exchange(askUdp, server, name, type, endsAtMs, true)
    // A server older than EDNS, or a middlebox, chokes on the OPT record (RFC 6891 6.2.2).
    if (isEdnsRefused(result)) result = await this.#exchange(askUdp, server, name, type, endsAtMs, false)
    if (!('rcode' in result) || !result.isTruncated) return result
    result = await this.#exchange(askTcp, server, name, type, endsAtMs, true)
    return 'rcode' in result && result.isTruncated ? { failure: `cut off answer over TCP of ${server.ip}` } : result
  }

  async #exchange(
    ask: typeof askUdp,
    server: NameServer,
    name: string,
    type: RecordType,
    endsAtMs: number,
    hasEdns: boolean,
  ): Promise<QueryResult> {
    const { randomId, nowMs, cancellation } = this.#options
    const question = { id: randomId(), name, type }
    this.sent++
    const reading = await ask(
      server,
      encodeQuestion(question, hasEdns),
      (bytes) => {
        const answer = readAnswer(bytes, question)
        // Forged and late answers are passed over: giving up on them would let anybody end our questions.
        return answer === 'foreign' ? null : { answer }
      },
      Math.max(1, endsAtMs - nowMs()),
      cancellation,
    )
    if ('failure' in reading) return reading
    if (reading.answer === 'malformed') return { failure: `malformed answer of ${server.ip}` }
    return reading.answer
  }
}

function isEdnsRefused(result: QueryResult): boolean {
  if (!('rcode' in result)) return false
  const { rcode } = result
  return rcode === RCODE.formatError || rcode === RCODE.notImplemented || rcode === RCODE.badVersion
}
