/**
 * The way to a Redis on which nobody waits for long: a deadline for each command, a bound on how many are under way, and a breaker.
 * Once Redis does not answer, everything that waits fails together and what comes later fails at once, until a small write of the
 * link's own has succeeded again. In a Cluster each master is judged by itself.
 */
import type {
  ConnectionTimes,
  OpenConnection,
  RedisArgument,
  RedisConnection,
  RedisReply,
  RedisScript,
} from './redis-port.ts'
import type { RedisEndpoint } from './redis-endpoint.ts'
import { WaitingCommands, type WaitingCommand } from './waiting-commands.ts'

/** Why there is no answer. */
export class RedisFailure {
  /**
   * `late`: not within the deadline; `down`: Redis is known not to answer; `full`: too many commands are under way; `refused`: it
   * answered with an error.
   */
  readonly reason: 'late' | 'down' | 'full' | 'refused'
  readonly message: string

  constructor(reason: RedisFailure['reason'], message: string) {
    this.reason = reason
    this.message = message
  }
}

export interface Count {
  value: number
}

export interface RedisLinkOptions extends ConnectionTimes {
  readonly endpoint: RedisEndpoint
  readonly open: OpenConnection
  /** Commands under way at most. */
  readonly queueSize: number
  /** Put before the keys of the link's own writes. */
  readonly keyPrefix: string
  /** How many, for the metrics. */
  readonly commands: Count
  readonly failures: Count
  /** Called at each change, and at the first answer or failure: once, not for each command. */
  readonly onState: (isUp: boolean, reason: string) => void
  readonly monotonicMs: () => number
  /** Runs once after a time; what it returns gives that up. */
  readonly later: (run: () => void, ms: number) => () => void
  /** Runs after what has arrived meanwhile was read. */
  readonly afterReading: (run: () => void) => void
}

/** Between two tries to find out whether Redis answers again; a connection that keeps silent for so long is given up. */
export const PROBE_MS = 250
const PROBE_LIFE_MS = 1000
/** Errors by which Redis says that it can't do its work at all, whatever it is asked. */
const UNABLE =
  /^(OOM|READONLY|LOADING|CLUSTERDOWN|MASTERDOWN|MISCONF|NOREPLICAS|NOAUTH|NOPERM|WRONGPASS|BUSY|ERR max number of clients)/

interface Shard {
  readonly name: string
  /** A key of it, for the probe. */
  key: string
  isUp: boolean
  lastAnswerAtMs: number
  /** Since when an answer is waited for; null once one has come. */
  silentSinceMs: number | null
  isProbing: boolean
  /** Gives the next try up. */
  stop: () => void
}

export class RedisLink {
  readonly endpoint: RedisEndpoint
  readonly #options: RedisLinkOptions
  readonly #connection: RedisConnection
  readonly #shards = new Map<string, Shard>()
  readonly #waiting = new WaitingCommands<Shard>()
  #isTimerSet = false
  /** Before the first connection, commands wait for it as long as they may. */
  #isOpening = true
  #whenOpen: (() => void)[] = []
  readonly #whenUp = new Set<() => void>()
  #told: boolean | null = null
  #isClosed = false

  constructor(options: RedisLinkOptions) {
    this.#options = options
    this.endpoint = options.endpoint
    this.#connection = options.open(options.endpoint, options, {
      onReady: () => this.#ready(),
      // A thread that is busy for long after a command must not take its own silence for Redis's.
      onSent: () => this.#waiting.sent(options.monotonicMs()),
      onClosed: (reason) => this.#closed(reason),
    })
  }

  /** Whether everything is believed to answer. */
  get isUp(): boolean {
    return this.#told !== false
  }

  /** Runs a script on keys of one slot; answers what it returned, or why not. Never rejects, and never takes longer than the deadline. */
  run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
    reply: RedisReply = 'text',
  ): Promise<unknown> {
    return this.#send(keys[0]!, (connection) => connection.run(script, keys, args, reply))
  }

  /** The same for a command, which is sent to where `key` is. */
  command(key: string, name: string, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#send(key, (connection) => connection.command(name, args))
  }

  /** Whether a command for this key would be sent, and not fail at once. */
  answersFor(key: string): boolean {
    return !this.#isClosed && (this.#isOpening || this.#shard(key).isUp)
  }

  /** Runs it whenever everything answers again; what is returned ends that. */
  onUp(run: () => void): () => void {
    this.#whenUp.add(run)
    return () => void this.#whenUp.delete(run)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#opened()
    this.#failWaiting(null, 'down', 'the connection is closed')
    for (const shard of this.#shards.values()) shard.stop()
    this.#connection.close()
  }

  #send(key: string, send: (connection: RedisConnection) => Promise<unknown>): Promise<unknown> {
    this.#options.commands.value++
    if (this.#isClosed) return this.#fail('down', 'the connection is closed')
    if (this.#waiting.size >= this.#options.queueSize) return this.#fail('full', 'too many commands are under way')
    const shard = this.#shard(key)
    if (!shard.isUp) return this.#fail('down', 'Redis does not answer')
    return new Promise((resolve) => {
      const waiting = this.#waiting.add(shard, this.#options.monotonicMs(), resolve)
      this.#setTimer()
      if (this.#isOpening) {
        this.#whenOpen.push(() => this.#transmit(waiting, send))
        return
      }
      this.#waiting.hold(waiting)
      this.#transmit(waiting, send)
    })
  }

  #fail(reason: RedisFailure['reason'], message: string): Promise<RedisFailure> {
    this.#options.failures.value++
    return Promise.resolve(new RedisFailure(reason, message))
  }

  #transmit(waiting: WaitingCommand<Shard>, send: (connection: RedisConnection) => Promise<unknown>): void {
    if (!waiting.isWaiting) return
    send(this.#connection).then(
      (value) => this.#answered(waiting, value),
      (error: Error) => this.#refused(waiting, error),
    )
  }

  #answered(waiting: WaitingCommand<Shard>, value: unknown): void {
    const { owner: shard } = waiting
    this.#heard(shard)
    // Late, but a sign of life.
    if (!shard.isUp) this.#up(shard)
    else if (this.#told === null) this.#tell('')
    this.#waiting.settle(waiting, value)
  }

  #refused(waiting: WaitingCommand<Shard>, error: Error): void {
    const { owner: shard } = waiting
    if (!waiting.isWaiting) return
    this.#options.failures.value++
    this.#waiting.settle(waiting, new RedisFailure('refused', error.message))
    const isReply = error.name === 'ReplyError'
    if (!isReply || UNABLE.test(error.message)) this.#down(shard, error.message)
    if (isReply) this.#heard(shard)
  }

  #heard(shard: Shard): void {
    shard.lastAnswerAtMs = this.#options.monotonicMs()
    shard.silentSinceMs = null
  }

  #setTimer(): void {
    if (this.#isTimerSet) return
    const { oldest } = this.#waiting
    if (oldest === null) return
    this.#isTimerSet = true
    const dueMs = oldest.sentAtMs + this.endpoint.timeoutMs - this.#options.monotonicMs()
    // A thread that was busy itself has answers in its sockets: they are read first.
    this.#options.later(() => this.#options.afterReading(() => this.#checkDeadlines()), Math.max(1, Math.ceil(dueMs)))
  }

  #checkDeadlines(): void {
    this.#isTimerSet = false
    const latestMs = this.#options.monotonicMs() - this.endpoint.timeoutMs
    for (;;) {
      const { oldest } = this.#waiting
      if (oldest === null || oldest.sentAtMs > latestMs) break
      const { owner: shard } = oldest
      this.#options.failures.value++
      this.#waiting.settle(oldest, new RedisFailure('late', `no answer within ${this.endpoint.timeoutMs} ms`))
      // Others were answered since: it was this command that took long.
      if (shard.isUp && shard.lastAnswerAtMs < oldest.sentAtMs)
        this.#down(shard, `no answer within ${this.endpoint.timeoutMs} ms`)
    }
    this.#setTimer()
  }

  #ready(): void {
    if (this.#isClosed) return
    if (this.#isOpening) this.#opened()
    for (const shard of this.#shards.values()) {
      if (shard.isUp) continue
      shard.silentSinceMs = this.#options.monotonicMs()
      this.#probe(shard)
    }
  }

  #closed(reason: string): void {
    if (this.#isClosed) return
    this.#opened()
    if (this.#shards.size === 0) this.#shard('')
    for (const shard of this.#shards.values()) this.#down(shard, reason)
  }

  /** What waited for the first connection is sent, or finds out that there is none. */
  #opened(): void {
    this.#isOpening = false
    const waiting = this.#whenOpen
    this.#whenOpen = []
    for (const send of waiting) send()
  }

  #down(shard: Shard, reason: string): void {
    if (!shard.isUp || this.#isClosed) return
    shard.isUp = false
    shard.silentSinceMs = this.#options.monotonicMs()
    // Else what is still to come would wait for a connection that may never be.
    this.#opened()
    this.#tell(reason)
    this.#failWaiting(shard, 'down', reason)
    shard.stop = this.#options.later(() => this.#tryAgain(shard), PROBE_MS)
  }

  /** Once every `PROBE_MS` while the shard is down. */
  #tryAgain(shard: Shard): void {
    if (shard.isUp || this.#isClosed) return
    const nowMs = this.#options.monotonicMs()
    const patienceMs = Math.max(PROBE_MS, this.endpoint.timeoutMs)
    if (this.#connection.isReady && shard.silentSinceMs !== null && nowMs - shard.silentSinceMs >= patienceMs) {
      // A connection whose packets are dropped looks like one that is only slow: another one tells.
      shard.isProbing = false
      shard.silentSinceMs = nowMs
      this.#connection.reset(shard.name)
    } else this.#probe(shard)
    shard.stop = this.#options.later(() => this.#tryAgain(shard), PROBE_MS)
  }

  /** A write, because a Redis that is full, a replica or without rights answers everything else. */
  #probe(shard: Shard): void {
    if (shard.isProbing || !this.#connection.isReady) return
    shard.isProbing = true
    shard.silentSinceMs ??= this.#options.monotonicMs()
    this.#connection.command('set', [this.#probeKey(shard), '1', 'PX', PROBE_LIFE_MS]).then(
      () => {
        this.#heard(shard)
        this.#up(shard)
      },
      (error: Error) => {
        shard.isProbing = false
        if (error.name === 'ReplyError') this.#heard(shard)
      },
    )
  }

  #probeKey(shard: Shard): string {
    const tag = /\{([^}]+)\}/.exec(shard.key)?.[1] ?? 'probe'
    return `${this.#options.keyPrefix}probe:{${tag}}`
  }

  #up(shard: Shard): void {
    if (shard.isUp || this.#isClosed) return
    shard.isUp = true
    shard.isProbing = false
    shard.stop()
    this.#tell('')
  }

  #failWaiting(shard: Shard | null, reason: RedisFailure['reason'], message: string): void {
    for (const waiting of this.#waiting.list(shard)) {
      this.#options.failures.value++
      this.#waiting.settle(waiting, new RedisFailure(reason, message))
    }
  }

  /** Only changes. */
  #tell(reason: string): void {
    let isUp = true
    for (const shard of this.#shards.values()) isUp &&= shard.isUp
    if (isUp === this.#told) return
    const wasDown = this.#told === false
    this.#told = isUp
    this.#options.onState(isUp, reason)
    if (isUp && wasDown) for (const run of this.#whenUp) run()
  }

  #shard(key: string): Shard {
    const name = this.#connection.shardOf(key)
    let shard = this.#shards.get(name)
    if (shard === undefined) {
      shard = { name, key, isUp: true, lastAnswerAtMs: -1, silentSinceMs: null, isProbing: false, stop: () => {} }
      this.#shards.set(name, shard)
    } else if (shard.key === '') shard.key = key
    return shard
  }
}
