/** Answers with what a function of Azure says, as Kong's plugin does it. */
import { definePlugin, FieldName, type Exchange, type Exit, type MetricsSink, type PluginLog } from '#pdk'
import { HttpAsker } from '#pdk/ask-http.ts'
import { relayAnswer } from '#pdk/relayed-answer.ts'
import { fromWire, safePath } from '#pdk/wire-text.ts'
import { schema } from './schema.ts'

interface State {
  /** Without a slash at its end, as URLs are written. */
  readonly base: string
  /** What tells the function who asks. */
  readonly keys: Readonly<Record<string, string>>
  readonly asker: HttpAsker
  readonly metrics: MetricsSink
  readonly log: PluginLog
  /** Said once when it begins and once when it ends. */
  readonly failing: { is: boolean }
}

/** What makes an address together, and nothing else of one. */
const FORMS = [
  ['appname', /^[\w.-]+$/, 'the first part of a host name'],
  ['hostdomain', /^[\w.-]+(?::\d{1,5})?$/, 'the rest of a host name, and perhaps a port'],
  ['routeprefix', /^[^?#\\]*$/, 'a path'],
  ['functionname', /^[^?#\\]*$/, 'a path'],
] as const

const CONTENT_TYPE = new FieldName('Content-Type')
/** What Azure takes in a request to a function, and what an answer is read up to. */
const BODY_BYTES_MAX = 100 * 1024 * 1024
const ANSWER_BYTES_MAX = 100 * 1024 * 1024
const CONNECTIONS = 256

export const azureFunctions = definePlugin({
  schema,

  refuse(config) {
    for (const [field, pattern, expected] of FORMS) {
      const value = config[field]
      if (value != null && !pattern.test(value))
        return { field, message: `expected ${expected}, got '${value.slice(0, 100)}'` }
    }
    return null
  },

  prepare(config, { lookup, trusted, metrics, log }): State {
    const { https, appname, hostdomain, routeprefix, functionname, apikey, clientid, timeout, keepalive } = config
    return {
      base: new URL(baseOf(https !== false, appname, hostdomain, routeprefix, functionname)).href,
      keys: {
        ...(apikey != null && { 'x-functions-key': apikey }),
        ...(clientid != null && { 'x-functions-clientid': clientid }),
      },
      asker: new HttpAsker({
        timeoutMs: timeout ?? 600_000,
        connections: CONNECTIONS,
        keepaliveMs: keepalive ?? 60_000,
        isVerified: config.https_verify === true,
        trusted,
        lookup,
        answerBytesMax: ANSWER_BYTES_MAX,
      }),
      metrics,
      log,
      failing: { is: false },
    }
  },

  async access(exchange, state): Promise<Exit> {
    const { body } = exchange.request
    const bytes = body.exists ? await body.read(BODY_BYTES_MAX) : null
    if (bytes !== null && !Buffer.isBuffer(bytes))
      return bytes.error === 'too_large' ? exchange.fail(413, 'Payload too large') : exchange.fail(400, 'Bad request')
    return await call(exchange, state, bytes)
  },

  close({ asker }) {
    asker.close()
  },
})

function baseOf(isTls: boolean, app: string, domain: string, prefix: string | null, name: string): string {
  const parts = [prefix ?? '', name].map((part) => part.replaceAll(/^\/+|\/+$/g, '')).filter((part) => part !== '')
  return [`${isTls ? 'https' : 'http'}://${app}.${domain}`, ...parts].join('/')
}

async function call(exchange: Exchange, state: State, body: Buffer | null): Promise<Exit> {
  const { request, upstream } = exchange
  const { asker, metrics, failing, log } = state
  // What is left of the path names a part of the function; the host is never the client's to choose.
  const rest = safePath(upstream.path).replace(/^\/*/, '/')
  const query = request.query === null ? '' : `?${safePath(request.query)}`
  const url = new URL(`${state.base}${rest === '/' ? '' : rest}${query}`)
  // Segments of dots, escaped or not, lead out of it.
  if (!url.href.startsWith(state.base)) return exchange.fail(400, 'Bad request')
  const type = CONTENT_TYPE.get(request.headers)
  const headers = { ...state.keys, ...(type !== null && { 'content-type': fromWire(type) }) }
  const beganMs = performance.now()
  const answer = await asker.ask(url, { method: request.method, headers, body })
  if ('problem' in answer) {
    metrics.called(schema.name, 'call', 'failed')
    if (!failing.is) log.error({ problem: answer.problem }, 'a function of Azure cannot be called')
    failing.is = true
    return exchange.exit(500, { message: 'An unexpected error occurred' })
  }
  exchange.upstreamLatencyMs = performance.now() - beganMs
  if (failing.is) log.info({ host: url.host }, 'a function of Azure can be called again')
  failing.is = false
  metrics.called(schema.name, 'call', 'answered')
  return relayAnswer(exchange, answer.status, answer.fields, answer.bytes)
}
