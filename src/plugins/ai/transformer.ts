/** What the plugins have in common that have a model rewrite a body: a prompt of the operator's, the body as the user's text, and what of the answer counts. */
import { compileSafeRegex, type SafeRegex } from '#core/pcre.ts'
import type { Exchange, Exit, PluginTools } from '#pdk'
import { HttpAsker } from '#pdk/ask-http.ts'
import { askModel, type ModelAnswer } from './ask-model.ts'
import { DEFAULT_LIMIT, refuseLlm } from './llm-request.ts'
import { openProvider, refuseLlmSettings, type FieldProblem, type LlmSettings, type Provider } from './provider.ts'
import { logModelUse, type UseLogging } from './usage-log.ts'

export interface TransformerConfig {
  readonly prompt: string
  readonly transformation_extract_pattern: string | null
  readonly http_timeout: number
  readonly https_verify: boolean
  readonly max_request_body_size: number | null
  readonly http_proxy_host: string | null
  readonly https_proxy_host: string | null
  readonly llm: LlmSettings & { readonly logging: UseLogging }
}

export interface Transformer {
  /** Name of the plugin. */
  readonly name: string
  readonly config: TransformerConfig
  readonly provider: Provider
  readonly asker: HttpAsker
  readonly extract: SafeRegex | null
  readonly limitBytes: number
  readonly tools: PluginTools
  /** Whether the log has said that the service can't be used. */
  hasWarned: boolean
}

const ANSWER_BYTES_MAX = 4 << 20
const CONNECTIONS = 32
const KEEPALIVE_MS = 60_000

export function refuseTransformer(config: TransformerConfig): FieldProblem | null {
  for (const field of ['http_proxy_host', 'https_proxy_host'] as const) {
    if (config[field] !== null) return { field, message: 'proxies are not available in this version' }
  }
  const pattern = config.transformation_extract_pattern
  const compiled = pattern === null ? null : compileSafeRegex(pattern)
  if (compiled?.ok === false) return { field: 'transformation_extract_pattern', message: compiled.reason }
  const problem = refuseLlmSettings(config.llm)
  return problem === null ? null : { field: `llm.${problem.field}`, message: problem.message }
}

export function openTransformer(name: string, config: TransformerConfig, tools: PluginTools): Transformer {
  const pattern = config.transformation_extract_pattern
  const compiled = pattern === null ? null : compileSafeRegex(pattern)
  if (compiled?.ok === false) throw new Error(compiled.reason)
  return {
    name,
    config,
    provider: openProvider(config.llm),
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
}

/** What the model makes of the text, or why the client gets something else. */
export async function transform(exchange: Exchange, transformer: Transformer, text: string): Promise<string | Exit> {
  const { tools, provider, config, name, extract } = transformer
  const messages = [
    { role: 'system', content: config.prompt },
    { role: 'user', content: text },
  ]
  const beganMs = performance.now()
  const answer = await askModel(name, transformer.asker, provider, messages, tools.metrics)
  warn(transformer, answer)
  if ('problem' in answer) return refuseLlm(exchange, 500, answer.problem)
  logModelUse(exchange, name, config.llm.logging, {
    pluginId: tools.pluginId,
    model: config.llm.model,
    requestModel: provider.options.model,
    responseModel: answer.model,
    latencyMs: performance.now() - beganMs,
    promptTokens: answer.promptTokens,
    completionTokens: answer.completionTokens,
    asked: text,
    answered: answer.text,
  })
  const found = extract === null ? answer.text : (extract.exec(answer.text)?.text ?? null)
  return found ?? refuseLlm(exchange, 400, 'transformation failed: the answer does not match the pattern')
}

function warn(transformer: Transformer, answer: ModelAnswer): void {
  if (!('problem' in answer)) {
    transformer.hasWarned = false
    return
  }
  if (transformer.hasWarned) return
  transformer.hasWarned = true
  transformer.tools.log.warn(
    { plugin: transformer.name, host: transformer.provider.url.host, problem: answer.problem },
    'bodies can not be transformed',
  )
}
