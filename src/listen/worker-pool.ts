/**
 * The worker threads, seen from the main thread: started, watched, replaced when one dies or falls silent, told things and asked
 * things. Knows nothing of what the messages mean.
 */
import { Worker, type ResourceLimits } from 'node:worker_threads'
import { PULSE_BEAT, PULSE_INTS, PULSE_PLUGIN, PULSE_ROUTE } from '#core/pulse.ts'

export interface WorkerPoolOptions<Start> {
  readonly count: number
  /** The module that a worker runs. */
  readonly entry: URL
  readonly heapMegabytes: number
  /** A worker whose heartbeat stands still for this long is ended. */
  readonly silenceMs: number
  readonly checkEveryMs: number
  /** What a worker is started with; called again for each replacement. */
  readonly startData: (index: number, pulse: SharedArrayBuffer) => Start
  readonly onMessage: (index: number, message: unknown) => void
  readonly onStarted: (index: number) => void
  /** Not expected: the worker died, or was ended because it was silent. A replacement starts by itself. */
  readonly onLost: (index: number, loss: WorkerLoss) => void
}

export interface WorkerLoss {
  readonly reason: 'died' | 'silent' | 'out_of_memory'
  readonly error: Error | null
  readonly routeHash: number
  readonly pluginHash: number
}

/** Restarts follow each other at least this far apart, doubling, so that a worker that dies at once does not eat the machine. */
const FIRST_RESTART_MS = 100
const LAST_RESTART_MS = 10_000
/**
 * A worker that does not serve yet keeps nobody waiting: loading modules and the first configuration may hold up its loop, for long
 * on a machine that is busy.
 */
const BEGIN_SILENCE_MS = 30_000

interface Slot {
  worker: Worker | null
  pulse: Int32Array<SharedArrayBuffer>
  lastBeat: number
  lastBeatAtMs: number
  /** Silence counts from here on at the earliest: work was given that takes long. */
  patientUntilMs: number
  /** It has said that it serves. */
  hasBegun: boolean
  restartMs: number
  startedAtMs: number
  isLost: boolean
}

export class WorkerPool<Start extends object, Message> {
  #options: WorkerPoolOptions<Start>
  #slots: Slot[] = []
  #timer: NodeJS.Timeout | null = null
  #isClosing = false

  constructor(options: WorkerPoolOptions<Start>) {
    this.#options = options
  }

  get count(): number {
    return this.#options.count
  }

  start(): void {
    for (let index = 0; index < this.#options.count; index++) {
      this.#slots.push({
        worker: null,
        pulse: new Int32Array(new SharedArrayBuffer(PULSE_INTS * 4)),
        lastBeat: 0,
        lastBeatAtMs: 0,
        patientUntilMs: 0,
        hasBegun: false,
        restartMs: FIRST_RESTART_MS,
        startedAtMs: 0,
        isLost: false,
      })
      this.#spawn(index)
    }
    this.#timer = setInterval(() => this.#check(), this.#options.checkEveryMs)
  }

  /** `patienceMs`: how long the message may keep a worker busy beyond what else would count as silence. */
  tell(index: number, message: Message, patienceMs = 0): void {
    const slot = this.#slots[index]
    if (slot === undefined || slot.worker === null) return
    if (patienceMs > 0) slot.patientUntilMs = Math.max(slot.patientUntilMs, performance.now()) + patienceMs
    slot.worker.postMessage(message)
  }

  tellAll(message: Message): void {
    for (const { worker } of this.#slots) worker?.postMessage(message)
  }

  /** The worker serves: from now on it is missed as soon as it is silent. */
  begun(index: number): void {
    this.#slots[index]!.hasBegun = true
  }

  /** Ends every worker. */
  async close(): Promise<void> {
    this.#isClosing = true
    if (this.#timer !== null) clearInterval(this.#timer)
    await Promise.all(this.#slots.map(async ({ worker }) => worker?.terminate()))
  }

  /** From now on workers may end by themselves. */
  expectEnd(): void {
    this.#isClosing = true
  }

  get running(): number {
    return this.#slots.filter((slot) => slot.worker !== null).length
  }

  #spawn(index: number): void {
    const slot = this.#slots[index]!
    const limits: ResourceLimits = { maxOldGenerationSizeMb: this.#options.heapMegabytes }
    const worker = new Worker(this.#options.entry, {
      workerData: this.#options.startData(index, slot.pulse.buffer),
      resourceLimits: limits,
      name: `worker-${index}`,
    })
    slot.worker = worker
    slot.isLost = false
    slot.startedAtMs = performance.now()
    slot.lastBeat = Atomics.load(slot.pulse, PULSE_BEAT)
    slot.lastBeatAtMs = performance.now()
    slot.patientUntilMs = 0
    slot.hasBegun = false
    worker.on('message', (message: unknown) => {
      if (slot.worker === worker) this.#options.onMessage(index, message)
    })
    worker.on('error', (error: Error) =>
      this.#lost(
        index,
        worker,
        (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out_of_memory' : 'died',
        error,
      ),
    )
    worker.on('exit', () => this.#lost(index, worker, 'died', null))
    this.#options.onStarted(index)
  }

  #check(): void {
    const now = performance.now()
    for (const [index, slot] of this.#slots.entries()) {
      if (slot.worker === null) continue
      const beat = Atomics.load(slot.pulse, PULSE_BEAT)
      if (beat !== slot.lastBeat) {
        slot.lastBeat = beat
        slot.lastBeatAtMs = now
      } else if (now - Math.max(slot.lastBeatAtMs, slot.patientUntilMs) > this.#silenceMs(slot))
        this.#lost(index, slot.worker, 'silent', null)
    }
  }

  #silenceMs({ hasBegun }: Slot): number {
    const { silenceMs } = this.#options
    return hasBegun ? silenceMs : Math.max(silenceMs, BEGIN_SILENCE_MS)
  }

  #lost(index: number, worker: Worker, reason: WorkerLoss['reason'], error: Error | null): void {
    const slot = this.#slots[index]!
    if (slot.worker !== worker || slot.isLost) return
    slot.isLost = true
    slot.worker = null
    void worker.terminate()
    if (this.#isClosing) return
    this.#options.onLost(index, {
      reason,
      error,
      routeHash: Atomics.load(slot.pulse, PULSE_ROUTE),
      pluginHash: Atomics.load(slot.pulse, PULSE_PLUGIN),
    })
    slot.restartMs =
      performance.now() - slot.startedAtMs > 60_000 ? FIRST_RESTART_MS : Math.min(slot.restartMs * 2, LAST_RESTART_MS)
    setTimeout(() => {
      if (!this.#isClosing) this.#spawn(index)
    }, slot.restartMs)
  }
}
