/**
 * Functions inside QuickJS, an interpreter in WebAssembly: they reach nothing but what `kong` gives them, with limits on memory, stack
 * and time. Each plugin instance has an interpreter of its own; one that broke a limit is thrown away.
 */
import type { QuickJSContext, QuickJSHandle, QuickJSRuntime, QuickJSWASMModule } from 'quickjs-emscripten-core'
import { answerCall, type FunctionCall, type FunctionPhase } from './host.ts'
import { KONG_API } from './kong-api.ts'
import { loadQuickJs } from './quickjs.ts'
import type { FunctionRunner, FunctionSources } from './runner.ts'

const MEMORY_BYTES = 16 << 20
const STACK_BYTES = 256 << 10
/** Processor time of the functions of one phase of one request: the thread does nothing else meanwhile. */
const CPU_MS = 50

export class Sandbox implements FunctionRunner {
  ready: Promise<void> | null
  readonly #sources: FunctionSources
  #quickJs: QuickJSWASMModule | null = null
  #interpreter: Interpreter | null = null
  #isClosed = false

  constructor(sources: FunctionSources) {
    this.#sources = sources
    this.ready = loadQuickJs().then((quickJs) => {
      this.#quickJs = quickJs
      this.ready = null
    })
    // Each request that waits for it is told; without requests nobody has to hear of it.
    this.ready.catch(() => undefined)
  }

  run(call: FunctionCall): void {
    if (this.#quickJs === null) throw new Error('the sandbox is not loaded')
    const interpreter = (this.#interpreter ??= new Interpreter(this.#quickJs, this.#sources))
    try {
      interpreter.run(call)
    } catch (error) {
      // What a function throws is its own; anything else may have left the interpreter in any state.
      if (!(error instanceof FunctionError) || error.isLimit) this.#drop()
      throw error
    }
    if (this.#isClosed) this.#drop()
  }

  close(): void {
    this.#isClosed = true
    this.#drop()
  }

  #drop(): void {
    const interpreter = this.#interpreter
    this.#interpreter = null
    interpreter?.close()
  }
}

/** What a function threw, or the limit that it broke. */
export class FunctionError extends Error {
  readonly isLimit: boolean
  constructor(message: string, isLimit: boolean) {
    super(message)
    this.name = 'FunctionError'
    this.isLimit = isLimit
  }
}

class Interpreter {
  readonly #runtime: QuickJSRuntime
  readonly #context: QuickJSContext
  readonly #kong: QuickJSHandle
  readonly #functions = new Map<FunctionPhase, QuickJSHandle[]>()
  #call: FunctionCall | null = null
  #endMs = 0
  #isOverTime = false

  constructor(quickJs: QuickJSWASMModule, sources: FunctionSources) {
    this.#runtime = quickJs.newRuntime()
    this.#runtime.setMemoryLimit(MEMORY_BYTES)
    this.#runtime.setMaxStackSize(STACK_BYTES)
    this.#runtime.setInterruptHandler(() => (this.#isOverTime = cpuMs() > this.#endMs))
    this.#context = this.#runtime.newContext()
    this.#begin()
    this.#kong = this.#makeKong()
    for (const [phase, list] of Object.entries(sources) as [FunctionPhase, readonly string[]][])
      this.#functions.set(
        phase,
        list.map((source) => this.#value(`(function (kong) { 'use strict';\n${source}\n})`)),
      )
  }

  run(call: FunctionCall): void {
    this.#call = call
    this.#begin()
    try {
      const functions = this.#functions.get(call.phase)!
      for (let at = 0; at < functions.length && call.exit === null; at++) {
        const result = this.#invoke(functions[at]!, this.#kong)
        if (this.#context.typeof(result) !== 'function') {
          result.dispose()
          continue
        }
        // As in Kong: a function that the first run returns takes the place of the text.
        functions[at]!.dispose()
        functions[at] = result
        this.#invoke(result, this.#kong).dispose()
      }
    } finally {
      this.#call = null
    }
  }

  close(): void {
    for (const list of this.#functions.values()) for (const handle of list) handle.dispose()
    this.#kong.dispose()
    this.#context.dispose()
    this.#runtime.dispose()
  }

  #begin(): void {
    this.#endMs = cpuMs() + CPU_MS
    this.#isOverTime = false
  }

  #makeKong(): QuickJSHandle {
    const context = this.#context
    const host = context.newFunction('host', (operation, args) => {
      // What is thrown here becomes an exception inside.
      return context.newString(answerCall(this.#call!, context.getString(operation), context.getString(args)))
    })
    const create = this.#value(KONG_API)
    const kong = this.#invoke(create, host)
    create.dispose()
    host.dispose()
    return kong
  }

  #value(code: string): QuickJSHandle {
    return this.#unwrap(this.#context.evalCode(code, 'function.js'))
  }

  #invoke(callee: QuickJSHandle, argument: QuickJSHandle): QuickJSHandle {
    return this.#unwrap(this.#context.callFunction(callee, this.#context.undefined, argument))
  }

  #unwrap(result: ReturnType<QuickJSContext['evalCode']>): QuickJSHandle {
    if (result.error === undefined) return result.value
    const thrown: unknown = this.#context.dump(result.error)
    result.error.dispose()
    if (this.#isOverTime) throw new FunctionError(`a function took longer than ${CPU_MS} ms`, true)
    const name = memberText(thrown, 'name')
    const message = typeof thrown === 'string' ? thrown : memberText(thrown, 'message')
    // Without memory QuickJS may not even have the error to tell it.
    const isLimit = name === 'InternalError' || thrown === null
    throw new FunctionError(name === '' ? message || 'a function ran out of memory' : `${name}: ${message}`, isLimit)
  }
}

/** Of this thread: when the system runs others meanwhile, that is not the function's fault. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Functions throw whatever they like. */
function memberText(thrown: unknown, name: string): string {
  const value = typeof thrown === 'object' && thrown !== null ? (thrown as Record<string, unknown>)[name] : ''
  return typeof value === 'string' ? value : ''
}
