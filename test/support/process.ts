/** Real processes for tests and benchmarks: started in a group of their own, waited for with deadlines, ended by id. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ChildOptions {
  readonly command: string
  readonly args?: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** For messages; by default the command. */
  readonly name?: string
  /** Started by way of `setpriv`, where there is one, so that the kernel ends it when this process is killed by SIGKILL. */
  readonly endsWithParent?: boolean
}

export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Kept of a child's output, from the end: enough for any message, bounded under any flood. */
const OUTPUT_LIMIT_CHARS = 1 << 22

export class Child {
  readonly name: string
  readonly pid: number
  /** Resolves when the process has ended and all its output was read. */
  readonly exited: Promise<ChildExit>
  #output = ''
  #outputLength = 0
  #exit: ChildExit | null = null
  readonly #process: ChildProcess
  readonly #onOutput = new Set<() => void>()

  constructor(name: string, process: ChildProcess, pid: number) {
    this.name = name
    this.pid = pid
    this.#process = process
    for (const stream of [process.stdout, process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_LIMIT_CHARS)
        this.#outputLength += text.length
        for (const look of this.#onOutput) look()
      })
    }
    this.exited = new Promise((resolve) => {
      process.once('close', (code, signal) => {
        this.#exit = { code, signal }
        alive.delete(this)
        resolve(this.#exit)
        for (const look of this.#onOutput) look()
      })
    })
  }

  /** stdout and stderr as they came, the last megabyte. */
  get output(): string {
    return this.#output
  }

  /** Of all output so far; to be given to `waitForOutput`, which then looks at what comes later only. */
  get outputLength(): number {
    return this.#outputLength
  }

  get exit(): ChildExit | null {
    return this.#exit
  }

  /** Resolves with the first match of `pattern` in the output so far or to come; rejects at the deadline or the end. */
  waitForOutput(pattern: RegExp, timeoutMs = 30_000, after = 0): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearTimeout(timer)
        this.#onOutput.delete(look)
        act()
      }
      const look = () => {
        const dropped = this.#outputLength - this.#output.length
        const match = pattern.exec(this.#output.slice(Math.max(0, after - dropped)))
        if (match) finish(() => resolve(match))
        else if (this.#exit) finish(() => reject(this.failure(`ended before printing ${pattern}`)))
      }
      const timer = setTimeout(
        () => finish(() => reject(this.failure(`did not print ${pattern} within ${timeoutMs} ms`))),
        timeoutMs,
      )
      this.#onOutput.add(look)
      look()
    })
  }

  /** Asks `isDone` until it says so; rejects at the deadline or when the process ends first. */
  async waitUntil(what: string, isDone: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!(await isDone())) {
      if (this.#exit) throw this.failure(`ended before ${what}`)
      if (performance.now() > deadline) throw this.failure(`not ${what} within ${timeoutMs} ms`)
      await sleep(20)
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#exit) this.#process.kill(signal)
  }

  /**
   * Ends the process by SIGTERM (or `signal`), after `graceMs` by SIGKILL, and what it has left behind in its group by
   * SIGKILL. Any number of times.
   */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 5_000): Promise<ChildExit> {
    const timer = setTimeout(() => this.killGroup(), graceMs)
    // `exited` also waits for whoever holds its output, so children left behind have to go first.
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.once('exit', () => this.killGroup())
      this.signal(signal)
    } else {
      this.killGroup()
    }
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }

  /** SIGKILL to the process and to what it started (unless that left the group), at once. */
  killGroup(): void {
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch (error) {
      // The group is gone already.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  /** An error that says what this process did, with the end of its output. */
  failure(what: string): Error {
    const exit = this.#exit && ` (exit code ${this.#exit.code}, signal ${this.#exit.signal})`
    return new Error(`${this.name} ${what}${exit ?? ''}\n${this.#output.slice(-4_000)}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** Starts a process; rejects when its program can't be started. What still runs when this process ends is killed. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const name = options.name ?? options.command
  const [command, args] = commandOf(options)
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) => reject(new Error(`${name} could not be started: ${cause.message}`, { cause })))
  })
  if (child.pid === undefined) throw new Error(`${name} has no process id`)
  const started = new Child(name, child, child.pid)
  alive.add(started)
  watchOwnEnd()
  return started
}

const SETPRIV = '/usr/bin/setpriv'

function commandOf({ command, args = [], endsWithParent = false }: ChildOptions): [string, readonly string[]] {
  if (!endsWithParent || !existsSync(SETPRIV)) return [command, args]
  return [SETPRIV, ['--pdeathsig', 'KILL', '--', command, ...args]]
}

export interface Finished extends ChildExit {
  readonly output: string
}

/** Runs a process to its end; rejects when it takes longer than `timeoutMs`. A failing exit code is the caller's. */
export async function runChild(options: ChildOptions & { readonly timeoutMs: number }): Promise<Finished> {
  const child = await startChild(options)
  const timer = setTimeout(() => child.killGroup(), options.timeoutMs)
  const exit = await child.exited
  clearTimeout(timer)
  if (exit.signal === 'SIGKILL') throw child.failure(`was killed; its time limit is ${options.timeoutMs} ms`)
  return { ...exit, output: child.output }
}

/** Whether something accepts connections there now. */
export function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: 1_000 })
    const finish = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => finish(true))
    socket.once('timeout', () => finish(false))
    socket.once('error', () => finish(false))
  })
}

const alive = new Set<Child>()
let isWatching = false

/** Children are in groups of their own, so neither Ctrl-C nor the test runner's SIGTERM reaches them by itself. */
function watchOwnEnd(): void {
  if (isWatching) return
  isWatching = true
  process.on('exit', () => {
    for (const child of alive) child.killGroup()
  })
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.once(signal, () => process.exit(128 + number))
  }
}
