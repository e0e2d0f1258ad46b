/** Answers with what a function of AWS Lambda says, as Kong's plugin does it. */
import { definePlugin, type Environment, type Exchange, type Exit, type MetricsSink, type PluginLog } from '#pdk'
import { HttpAsker, type HttpAnswer } from '#pdk/ask-http.ts'
import { relayAnswer } from '#pdk/relayed-answer.ts'
import { eventOf, needsBody } from './event.ts'
import { domainOf, openKeys } from './key-sources.ts'
import type { KeyCache } from './key-cache.ts'
import { parseProxyResult } from './proxy-result.ts'
import { schema, type Config } from './schema.ts'
import { encodeUri, signRequest, type AwsKeys } from './sigv4.ts'

interface State {
  readonly config: Config
  readonly url: URL
  readonly region: string
  /** Those that go with each invocation. */
  readonly headers: Readonly<Record<string, string>>
  readonly asker: HttpAsker
  readonly keys: KeyCache
  readonly metrics: MetricsSink
  readonly log: PluginLog
  /** Said once when it begins and once when it ends. */
  readonly failing: { is: boolean }
}

/** What Lambda takes and gives for an invocation (6 MB), with what JSON and base64 add. */
const BODY_BYTES_MAX = 6 * 1024 * 1024
const ANSWER_BYTES_MAX = 8 * 1024 * 1024
const CONNECTIONS = 256

export const awsLambda = definePlugin({
  schema,

  refuse(config, { environment }) {
    if (config.function_name == null) return { field: 'function_name', message: 'required' }
    return regionOf(config, environment) === null ? { field: 'aws_region', message: NO_REGION } : null
  },

  prepare(config, { lookup, trusted, metrics, log, environment }): State {
    const region = regionOf(config, environment)
    if (region === null) throw new Error(`aws_region: ${NO_REGION}`)
    const asker = new HttpAsker({
      timeoutMs: config.timeout,
      connections: CONNECTIONS,
      keepaliveMs: config.keepalive,
      isVerified: true,
      trusted,
      lookup,
      answerBytesMax: ANSWER_BYTES_MAX,
      proxy: config.proxy_url,
    })
    return {
      config,
      url: urlOf(config, region),
      region,
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-invocation-type': config.invocation_type,
        'x-amz-log-type': config.log_type,
        'x-amz-target': 'invoke',
      },
      asker,
      keys: openKeys({ config, region, environment, asker, nowMs: Date.now }),
      metrics,
      log,
      failing: { is: false },
    }
  },

  async access(exchange, state): Promise<Exit> {
    const { config } = state
    const { body } = exchange.request
    let bytes: Buffer | null = null
    if (body.exists && needsBody(config)) {
      const read = await body.read(BODY_BYTES_MAX)
      if (Buffer.isBuffer(read)) bytes = read
      else if (read.error === 'aborted') return exchange.fail(400, 'Bad request')
      else if (!config.skip_large_bodies) return exchange.fail(413, 'Payload too large')
      else state.log.warn({ function: config.function_name }, 'a body is too large for a function and is left out')
    }
    return await invoke(exchange, state, eventOf(exchange, config, bytes))
  },

  close({ asker }) {
    asker.close()
  },
})

const NO_REGION = 'expected a region, here or in AWS_REGION or AWS_DEFAULT_REGION of the environment'

function regionOf({ aws_region: region }: Config, environment: Environment): string | null {
  return region ?? (environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || null)
}

function urlOf({ host, port, disable_https: isPlain, function_name: name, qualifier }: Config, region: string): URL {
  const authority = `${host ?? `lambda.${region}.${domainOf(region)}`}:${port}`
  const url = new URL(`${isPlain ? 'http' : 'https'}://${authority}`)
  url.pathname = `/2015-03-31/functions/${encodeUri(name!)}/invocations`
  if (qualifier != null) url.search = `Qualifier=${encodeUri(qualifier)}`
  return url
}

async function invoke(exchange: Exchange, state: State, event: string): Promise<Exit> {
  const { asker, url, config } = state
  let keys: AwsKeys
  try {
    keys = await state.keys.get()
  } catch (error) {
    return failed(exchange, state, (error as Error).message)
  }
  const unsigned = { method: 'POST', url, headers: state.headers, body: event }
  const headers = signRequest(unsigned, { service: 'lambda', region: state.region }, keys, Date.now())
  const beganMs = performance.now()
  const answer = await asker.ask(url, { method: 'POST', headers, body: event })
  if ('problem' in answer) return failed(exchange, state, answer.problem)
  exchange.upstreamLatencyMs = performance.now() - beganMs
  if (answer.status >= 400) return refused(exchange, state, answer)
  if (state.failing.is) state.log.info({ function: config.function_name }, 'a function of AWS can be invoked again')
  state.failing.is = false
  state.metrics.called(schema.name, 'invoke', 'answered')
  return config.is_proxy_integration ? answerOfProxy(exchange, answer) : answerAsItIs(exchange, config, answer)
}

function answerOfProxy(exchange: Exchange, answer: HttpAnswer): Exit {
  const result = parseProxyResult(answer.text)
  if ('problem' in result) {
    const error = `could not JSON decode Lambda function response: ${result.problem}`
    return exchange.exit(502, { message: 'Bad Gateway', error })
  }
  const given = new Set(Object.keys(result.fields).map((name) => name.toLowerCase()))
  const others = Object.entries(answer.fields).filter(([name]) => !given.has(name))
  return relayAnswer(exchange, result.status, { ...Object.fromEntries(others), ...result.fields }, result.body)
}

function answerAsItIs(exchange: Exchange, config: Config, { status, headers, fields, bytes, text }: HttpAnswer): Exit {
  const isUnhandled = headers['x-amz-function-error'] === 'Unhandled'
  const shown = isUnhandled ? (config.unhandled_status ?? status) : status
  const body = config.empty_arrays_mode === 'legacy' && bytes.includes('[') ? Buffer.from(emptyAsObjects(text)) : bytes
  return relayAnswer(exchange, shown, fields, body)
}

/** Kong's way until it had `empty_arrays_mode`: its Lua knows no empty list. Only what is a list and no part of a text. */
function emptyAsObjects(json: string): string {
  return json.replaceAll(/"(?:[^"\\]|\\.)*"|\[\s*\]/g, (token) => (token.startsWith('[') ? '{}' : token))
}

/** Lambda itself does not want: no such function, no right, too many. The client is told nothing of it. */
function refused(exchange: Exchange, state: State, { status, headers, text }: HttpAnswer): Exit {
  state.metrics.called(schema.name, 'invoke', 'refused')
  const type = headers['x-amzn-errortype'] ?? ''
  say(state, `${state.url.host} answered ${status} ${type}: ${text.slice(0, 300)}`)
  return unexpected(exchange)
}

function failed(exchange: Exchange, state: State, problem: string): Exit {
  state.metrics.called(schema.name, 'invoke', 'failed')
  say(state, problem)
  return unexpected(exchange)
}

function say({ failing, log, config }: State, problem: string): void {
  if (!failing.is) log.error({ function: config.function_name, problem }, 'a function of AWS cannot be invoked')
  failing.is = true
}

function unexpected(exchange: Exchange): Exit {
  return exchange.exit(500, { message: 'An unexpected error occurred' })
}
