/** Has a language model rewrite the bodies of requests, as Kong's ai-request-transformer does. */
import { compileSafeRegex, type SafeRegex } from '#core/pcre.ts'
import { definePlugin, FieldName, type Exchange, type Exit, type PluginTools } from '#pdk'
import { HttpAsker } from '#pdk/ask-http.ts'
import { askModel, type ModelAnswer } from '../ai/ask-model.ts'
import { DEFAULT_LIMIT, readLlmBody, refuseLlm } from '../ai/llm-request.ts'
import { openProvider, refuseLlmSettings, type LlmSettings, type Provider } from '../ai/provider.ts'
import { schema, type Config } from './schema.ts'

interface State {
  readonly config: Config
  readonly provider: Provider
  readonly asker: HttpAsker
  readonly extract: SafeRegex | null
  readonly limitBytes: number
  readonly tools: PluginTools
  /** Whether the log has said that the service can't be used. */
  hasWarned: boolean
}

const CONTENT_ENCODING = new FieldName('Content-Encoding')
const ANSWER_BYTES_MAX = 4 << 20
const CONNECTIONS = 32
const KEEPALIVE_MS = 60_000

export const aiRequestTransformer = definePlugin({
  schema,

  refuse(config) {
    for (const field of ['http_proxy_host', 'https_proxy_host'] as const) {
      if (config[field] !== null) return { field, message: 'proxies are not available in this version' }
    }
    const pattern = config.transformation_extract_pattern
    const compiled = pattern === null ? null : compileSafeRegex(pattern)
    if (compiled?.ok === false) return { field: 'transformation_extract_pattern', message: compiled.reason }
    const problem = refuseLlmSettings(config.llm as LlmSettings)
    return problem === null ? null : { field: `llm.${problem.field}`, message: problem.message }
  },

  prepare(config, tools): State {
    const pattern = config.transformation_extract_pattern
    const compiled = pattern === null ? null : compileSafeRegex(pattern)
    if (compiled?.ok === false) throw new Error(compiled.reason)
    return {
      config,
      provider: openProvider(config.llm as LlmSettings),
      asker: new HttpAsker({
        timeoutMs: config.http_timeout,
        connections: CONNECTIONS,
        keepaliveMs: KEEPALIVE_MS,
        isVerified: config.https_verify,
        trusted: tools.trusted,
        lookup: tools.lookup,
        answerBytesMax: ANSWER_BYTES_MAX,
      }),
      extract: compiled === null ? null : compiled.regex,
      limitBytes: config.max_request_body_size ?? DEFAULT_LIMIT,
      tools,
      hasWarned: false,
    }
  },

  // Without a body there is nothing to rewrite.
  access: (exchange, state) => (exchange.request.body.exists ? rewrite(exchange, state) : undefined),

  close({ asker }) {
    asker.close()
  },
})

async function rewrite(exchange: Exchange, state: State): Promise<void | Exit> {
  const { body, headers } = exchange.request
  if (CONTENT_ENCODING.has(headers)) return refuseLlm(exchange, 400, 'request body has a Content-Encoding')
  const bytes = await readLlmBody(exchange, state.limitBytes, 'request body could not be read')
  if (!Buffer.isBuffer(bytes)) return bytes
  const { tools, provider, config } = state
  const messages = [
    { role: 'system', content: config.prompt },
    { role: 'user', content: bytes.toString('utf8') },
  ]
  const beganMs = performance.now()
  const answer = await askModel(schema.name, state.asker, provider, messages, tools.metrics)
  warn(state, answer)
  if ('problem' in answer) return refuseLlm(exchange, 500, answer.problem)
  if (config.llm.logging.log_statistics || config.llm.logging.log_payloads)
    addToLog(exchange, state, bytes.toString('utf8'), answer, performance.now() - beganMs)
  const text = state.extract === null ? answer.text : (state.extract.exec(answer.text)?.text ?? null)
  if (text === null) return refuseLlm(exchange, 400, 'transformation failed: the answer does not match the pattern')
  body.replace(Buffer.from(text))
}

function warn(state: State, answer: ModelAnswer): void {
  if (!('problem' in answer)) {
    state.hasWarned = false
    return
  }
  if (state.hasWarned) return
  state.hasWarned = true
  state.tools.log.warn(
    { plugin: schema.name, host: state.provider.url.host, problem: answer.problem },
    'requests can not be transformed',
  )
}

/** In the members that Kong's serializer has (`ai.<plugin>`). */
function addToLog(
  exchange: Exchange,
  { config: { llm }, tools, provider }: State,
  asked: string,
  answer: Exclude<ModelAnswer, { problem: string }>,
  latencyMs: number,
): void {
  const { promptTokens, completionTokens } = answer
  const { input_cost: inputCost, output_cost: outputCost } = llm.model.options ?? {
    input_cost: null,
    output_cost: null,
  }
  const total = promptTokens === null || completionTokens === null ? null : promptTokens + completionTokens
  // Prices are of a million tokens.
  const cost = ((promptTokens ?? 0) * (inputCost ?? 0) + (completionTokens ?? 0) * (outputCost ?? 0)) / 1_000_000
  const fields = (exchange.logFields ??= {})
  fields['ai'] = {
    ...(fields['ai'] as object | undefined),
    [schema.name]: {
      ...(llm.logging.log_statistics && {
        meta: {
          plugin_id: tools.pluginId,
          provider_name: llm.model.provider,
          request_model: provider.options.model,
          response_model: answer.model,
          llm_latency: Math.round(latencyMs),
        },
        usage: {
          prompt_tokens: promptTokens,
          completion_tokens: completionTokens,
          total_tokens: total,
          cost,
          time_per_token: completionTokens ? latencyMs / completionTokens : 0,
        },
      }),
      ...(llm.logging.log_payloads && { payload: { request: asked, response: answer.text } }),
    },
  }
}
