/** What pre-function and post-function have in common: functions of the operator's in each phase. */
import {
  definePlugin,
  type BodyTransform,
  type ConfigOf,
  type Exchange,
  type Exit,
  type FunctionsMode,
  type Plugin,
  type PluginLog,
  type PluginSchema,
} from '#pdk'
import { FunctionCall, type FunctionPhase } from './host.ts'
import type { FunctionRunner, FunctionSources } from './runner.ts'
import { Sandbox } from './sandbox.ts'
import { createTrusted } from './trusted.ts'

/** A body that functions see is held in memory; larger ones are refused, or pass functions by. */
const BODY_LIMIT_BYTES = 1 << 20

type FunctionConfig = FunctionSources & { readonly certificate: readonly string[] }

interface State {
  readonly runner: FunctionRunner
  readonly log: PluginLog
  readonly has: Readonly<Record<FunctionPhase, boolean>>
  /** Whether functions ask for the request's body. */
  readonly readsBody: boolean
}

/** The plugin with Kong's schema for it. */
export function functionPlugin<Sch extends PluginSchema>(schema: Sch): Plugin<Sch, State> {
  return definePlugin<Sch, State>({
    schema,

    refuse: (config, { functions }) => refusal(config as ConfigOf<Sch> & FunctionConfig, functions),

    prepare(config, { functions, log }) {
      const { rewrite, access, header_filter, body_filter, log: atEnd } = config as ConfigOf<Sch> & FunctionConfig
      const sources: FunctionSources = { rewrite, access, header_filter, body_filter, log: atEnd }
      if (functions === 'off') throw new Error('functions = off')
      return {
        runner: functions === 'trusted' ? createTrusted(sources) : new Sandbox(sources),
        log,
        has: {
          rewrite: rewrite.length > 0,
          access: access.length > 0,
          header_filter: header_filter.length > 0,
          body_filter: body_filter.length > 0,
          log: atEnd.length > 0,
        },
        readsBody: [...rewrite, ...access].some((source) => /\bget_raw_body\b/.test(source)),
      }
    },

    rewrite: (exchange, state) => (state.has.rewrite ? runEarly(exchange, 'rewrite', state) : undefined),

    // Also without functions for this phase: those that follow can't wait until the sandbox is loaded.
    access(exchange, state) {
      const { runner, has } = state
      if (runner.ready === null) return has.access ? runEarly(exchange, 'access', state) : undefined
      return runner.ready.then(() => (has.access ? runEarly(exchange, 'access', state) : undefined))
    },

    responseHeaders(exchange, { runner, log, has }) {
      if (has.header_filter) void runner.run(new FunctionCall(exchange, 'header_filter', log))
    },

    responseBody: (exchange, state) => (state.has.body_filter ? new FilteredBody(exchange, state) : null),

    log(exchange, { runner, log, has }) {
      if (has.log) void runner.run(new FunctionCall(exchange, 'log', log))
    },

    close: ({ runner }) => runner.close(),
  })
}

function refusal(config: FunctionConfig, mode: FunctionsMode): { field: string; message: string } | null {
  if (config.certificate.length > 0)
    return { field: 'certificate', message: 'functions can not choose certificates in this gateway' }
  for (const phase of ['rewrite', 'access', 'header_filter', 'body_filter', 'log'] as const) {
    const sources = config[phase]
    if (sources.length > 0 && mode === 'off')
      return { field: phase, message: "functions are turned off; the setting 'functions' allows them" }
    const mayWait = mode === 'trusted' && (phase === 'rewrite' || phase === 'access')
    if (!mayWait && sources.some((source) => /\bawait\b/.test(source)))
      return { field: phase, message: 'await is for trusted functions in rewrite and access' }
  }
  return null
}

function runEarly(exchange: Exchange, phase: 'rewrite' | 'access', state: State): void | Exit | Promise<void | Exit> {
  const { runner, log, readsBody } = state
  if (runner.ready !== null) return runner.ready.then(() => runEarly(exchange, phase, state))
  if (readsBody && exchange.request.body.exists) return runWithBody(exchange, phase, state)
  return finish(runner, new FunctionCall(exchange, phase, log))
}

async function runWithBody(exchange: Exchange, phase: 'rewrite' | 'access', state: State): Promise<void | Exit> {
  const body = await exchange.request.body.read(BODY_LIMIT_BYTES)
  if (Buffer.isBuffer(body)) return finish(state.runner, new FunctionCall(exchange, phase, state.log, body))
  // What a function would have looked at must not pass unseen.
  if (body.error === 'too_large') return exchange.fail(413, 'Request size limit exceeded')
}

function finish(runner: FunctionRunner, call: FunctionCall): void | Exit | Promise<void | Exit> {
  const running = runner.run(call)
  if (running instanceof Promise) return running.then(() => call.exit ?? undefined)
  return call.exit ?? undefined
}

/** Collects a body for functions to change. One that is too large can't be shown to them, and is cut off rather than passed unseen. */
class FilteredBody implements BodyTransform {
  readonly #exchange: Exchange
  readonly #state: State
  readonly #parts: Buffer[] = []
  #bytes = 0

  constructor(exchange: Exchange, state: State) {
    this.#exchange = exchange
    this.#state = state
  }

  chunk(bytes: Buffer): null {
    this.#bytes += bytes.length
    if (this.#bytes > BODY_LIMIT_BYTES) throw new Error(`a body of over ${BODY_LIMIT_BYTES} bytes can not be filtered`)
    this.#parts.push(Buffer.from(bytes))
    return null
  }

  end(): Buffer | null {
    const call = new FunctionCall(this.#exchange, 'body_filter', this.#state.log)
    call.responseBody = Buffer.concat(this.#parts)
    void this.#state.runner.run(call)
    return call.responseBody.length === 0 ? null : call.responseBody
  }
}
