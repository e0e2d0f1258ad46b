/** Functions that run in the gateway itself, with all its rights: for operators who trust whoever may write the configuration. */
import { answerCall, type FunctionCall, type FunctionPhase } from './host.ts'
import { KONG_API } from './kong-api.ts'
import type { FunctionRunner, FunctionSources } from './runner.ts'

type Compiled = (kong: unknown) => unknown

const AsyncFunction = (async () => {}).constructor as new (...parts: string[]) => Compiled

export function createTrusted(sources: FunctionSources): FunctionRunner {
  const functions = new Map<FunctionPhase, Compiled[]>()
  for (const [phase, list] of Object.entries(sources) as [FunctionPhase, readonly string[]][])
    functions.set(phase, list.map(compile))
  return {
    ready: null,
    run(call) {
      return runFrom(functions.get(call.phase)!, 0, call)
    },
    close: () => undefined,
  }
}

function compile(source: string): Compiled {
  const strict = `'use strict';\n${source}`
  if (/\bawait\b/.test(source)) return new AsyncFunction('kong', strict)
  // oxlint-disable-next-line no-new-func, typescript/no-implied-eval -- the setting `functions = trusted` asks for just this.
  return new Function('kong', strict) as Compiled
}

function runFrom(functions: Compiled[], from: number, call: FunctionCall): void | Promise<void> {
  for (let at = from; at < functions.length && call.exit === null; at++) {
    const result = functions[at]!(kongOf(call))
    if (result instanceof Promise) {
      return result.then((value) => {
        if (typeof value === 'function') functions[at] = value as Compiled
        return runFrom(functions, at + 1, call)
      })
    }
    // As in Kong: a function that the first run returns takes the place of the text.
    if (typeof result === 'function') {
      const made = (functions[at] = result as Compiled)
      made(kongOf(call))
    }
  }
}

/** An object for this exchange alone, as a function that waits goes on when others have run. */
function kongOf(call: FunctionCall): unknown {
  return create((operation: string, args: string) => answerCall(call, operation, args))
}

// oxlint-disable-next-line no-new-func, typescript/no-implied-eval -- our own text, see `kong-api.ts`.
const create = new Function(`return ${KONG_API}`)() as (host: (operation: string, args: string) => string) => unknown
