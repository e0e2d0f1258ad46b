/** Lets in prompts by patterns, as Kong's ai-prompt-guard does. */
import { compileSafeRegex, type SafeRegex } from '#core/pcre.ts'
import { definePlugin, type Exchange, type Exit, type MetricsSink } from '#pdk'
import {
  DEFAULT_LIMIT,
  isExit,
  messagesOf,
  readLlmRequest,
  refuseLlm,
  refuseLlmFormat,
  textOf,
  type LlmRequest,
} from '../ai/llm-request.ts'
import { schema } from './schema.ts'

interface State {
  readonly deny: readonly SafeRegex[]
  /** Empty: whatever is not denied passes. */
  readonly allow: readonly SafeRegex[]
  readonly onlyLatest: boolean
  readonly allRoles: boolean
  readonly limitBytes: number
  readonly metrics: MetricsSink
}

export const aiPromptGuard = definePlugin({
  schema,

  refuse({ llm_format: format, allow_patterns, deny_patterns }) {
    const refusal = refuseLlmFormat(format)
    if (refusal !== null) return refusal
    for (const [field, patterns] of [
      ['allow_patterns', allow_patterns],
      ['deny_patterns', deny_patterns],
    ] as const) {
      for (const [index, pattern] of (patterns ?? []).entries()) {
        const compiled = compileSafeRegex(pattern)
        if (!compiled.ok) return { field: `${field}.${index}`, message: compiled.reason }
      }
    }
    return null
  },

  prepare(config, { metrics }): State {
    return {
      deny: (config.deny_patterns ?? []).map(compiled),
      allow: (config.allow_patterns ?? []).map(compiled),
      onlyLatest: config.allow_all_conversation_history,
      allRoles: config.match_all_roles,
      limitBytes: config.max_request_body_size ?? DEFAULT_LIMIT,
      metrics,
    }
  },

  access: guard,
})

function compiled(pattern: string): SafeRegex {
  const result = compileSafeRegex(pattern)
  if (!result.ok) throw new Error(`pattern ${JSON.stringify(pattern)}: ${result.reason}`)
  return result.regex
}

async function guard(exchange: Exchange, state: State): Promise<void | Exit> {
  const request = await readLlmRequest(exchange, state.limitBytes)
  if (isExit(request)) return request
  const prompt = promptOf(request, state)
  if (prompt !== null && mayPass(prompt, state)) return
  state.metrics.refused(schema.name, 'prompt')
  // Which pattern it was would help those whom it is to keep out.
  return refuseLlm(exchange, 400, 'bad request')
}

/** The text that is held against the patterns; null for a request that has none. */
function promptOf(request: LlmRequest, { onlyLatest, allRoles }: State): string | null {
  const { messages: given, prompt } = request.body
  if (given === undefined) return typeof prompt === 'string' ? prompt : null
  const messages = messagesOf(request)
  // A prompt beside messages would pass unseen.
  if (messages === null || prompt !== undefined) return null
  const judged = messages.filter(({ role }) => allRoles || role === 'user')
  const latest = judged.at(-1)
  if (latest === undefined) return null
  return onlyLatest ? textOf(latest.content) : judged.map(({ content }) => textOf(content)).join('')
}

function mayPass(prompt: string, { deny, allow }: State): boolean {
  for (const pattern of deny) if (pattern.test(prompt)) return false
  if (allow.length === 0) return true
  for (const pattern of allow) if (pattern.test(prompt)) return true
  return false
}
