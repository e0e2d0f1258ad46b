/** Answers instead of the upstream, as Kong's request-termination does. */
import { hostname } from 'node:os'
import { definePlugin, type Exchange, type Exit } from '#pdk'
import { findArg } from '#pdk/form.ts'
import { toWire } from '#pdk/wire-text.ts'
import { describeRequest } from './echo.ts'
import { schema } from './schema.ts'

interface State {
  readonly status: number
  readonly trigger: string | null
  readonly isEcho: boolean
  readonly message: string | null
  /** The whole answer where it is the same for every request. */
  readonly body: string | null
  readonly contentType: string | null
  readonly node: { readonly node_id: string; readonly worker_pid: number; readonly hostname: string }
}

/** Kong's texts for a status without `message`. */
const MESSAGES: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  404: 'Not found',
  405: 'Method not allowed',
  500: 'An unexpected error occurred',
  502: 'Bad Gateway',
  503: 'Service unavailable',
}

/** Statuses without such a text whose empty answers Kong fills as it does errors of its own (`nginx_messages`). */
const ERRORS: Readonly<Record<number, string>> = {
  400: 'Bad request',
  408: 'Request timeout',
  411: 'Length required',
  412: 'Precondition failed',
  413: 'Payload too large',
  414: 'URI too long',
  417: 'Expectation failed',
  494: 'Request header or cookie too large',
  504: 'The upstream server is timing out',
}

export const requestTermination = definePlugin({
  schema,

  prepare(config, { nodeId }): State {
    const message = config.message ?? MESSAGES[config.status_code] ?? null
    return {
      status: config.status_code,
      trigger: config.trigger,
      isEcho: config.echo,
      message,
      body: config.body,
      contentType: config.content_type,
      node: { node_id: nodeId, worker_pid: process.pid, hostname: hostname() },
    }
  },

  access(exchange, state): void | Exit | Promise<Exit> {
    if (state.trigger !== null && !isTriggered(exchange, state.trigger)) return
    if (state.isEcho) return echo(exchange, state)
    if (state.body !== null) {
      return exchange.exit(
        state.status,
        state.body,
        state.contentType === null ? {} : { contentType: state.contentType },
      )
    }
    if (state.message !== null) return exchange.exit(state.status, { message: state.message })
    const error = ERRORS[state.status]
    if (error === undefined) return exchange.exit(state.status)
    if (exchange.request.headers.has('accept')) return exchange.fail(state.status, error)
    return exchange.exit(state.status, `${error}\n`, { contentType: 'text/plain; charset=utf-8' })
  },
})

async function echo(exchange: Exchange, { status, message, node }: State): Promise<Exit> {
  const description = await describeRequest(exchange)
  return exchange.exit(status, { ...(message === null ? {} : { message }), kong: node, ...description })
}

/** A header or argument of this name is there, whatever its value. */
function isTriggered({ request }: Exchange, name: string): boolean {
  return request.headers.has(name) || findArg(request.query, toWire(name)) !== null
}
