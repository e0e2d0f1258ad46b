/** One request to a model: what the client asks, held against the configuration, and what the service is to get for it. */
import type { Exchange, Exit } from '#pdk'
import { encodeJsonMembers, rawJson, type JsonMembers } from '#pdk/json-members.ts'
import type { ChatForm, ChatOptions } from '../ai/chat-form.ts'
import { imagesIn, strangePart } from '../ai/content-parts.ts'
import { isExit, messagesOf, readLlmRequest, refuseLlm, type ChatMessage, type LlmRequest } from '../ai/llm-request.ts'
import type { ModelOptions, ModelSettings } from '../ai/provider.ts'
import { fillModel } from './model-fields.ts'
import type { State } from './state.ts'
import { choiceIn, toolsIn } from './tools.ts'

export interface Call {
  readonly isChat: boolean
  readonly isStreamed: boolean
  /** The client's own wish to be told of the tokens at the end of a stream. */
  readonly wantsUsage: boolean
  readonly model: string
  /** The configuration's, as far as requests say parts of it. */
  readonly settings: ModelSettings
  readonly messages: readonly ChatMessage[]
  readonly prompt: string
  /** What the client sent. */
  readonly asked: Buffer
  /** What the service gets. */
  readonly sent: Buffer
}

const BAD_BODY = 'content-type header does not match request body, or bad JSON formatting'

/** The body in OpenAI's form, or the refusal of what is none or may not be. */
export async function readCall(exchange: Exchange, state: State): Promise<Call | Exit> {
  const request = await readLlmRequest(exchange, state.limitBytes, BAD_BODY)
  if (isExit(request)) return request
  const refuse = (message: string): Exit => refuseLlm(exchange, 400, message)
  const { body, bytes } = request
  const { config, form } = state
  const isChat = config.route_type === 'llm/v1/chat'
  const messages = messagesOf(request)
  const prompt = typeof body['prompt'] === 'string' ? body['prompt'] : null
  if (messages === null && prompt === null) return refuse("request body doesn't contain valid prompts")
  if (messages !== null && prompt !== null) return refuse('request matches multiple LLM request formats')
  if (isChat !== (messages !== null))
    return refuse(
      `[llm/v1/${isChat ? 'completions' : 'chat'}] message format is not compatible with [${config.route_type}] route type`,
    )
  const filled = state.isFilled ? fillModel(exchange, state.model) : state.model
  if ('problem' in filled) return refuse(filled.problem)
  const model = modelOf(body['model'], filled)
  if ('problem' in model) return refuse(model.problem)
  const isStreamed = config.response_streaming === 'always' || body['stream'] === true
  if (isStreamed && config.response_streaming === 'deny')
    return refuse('response streaming is not enabled for this LLM')
  if (isStreamed && form.openEvents === null) return refuse('response streaming is not available for this LLM')
  const options = optionsOf(body, config.model.options, model.name, isStreamed)
  if (typeof options === 'string') return refuse(options)
  const problem = state.isOpenai ? null : unsayable(body, messages ?? [], form)
  if (problem !== null) return refuse(problem)
  const wantsUsage = (body['stream_options'] as { include_usage?: unknown } | null | undefined)?.include_usage === true
  const asksUsage = isStreamed && state.asksUsage && body['stream_options'] === undefined
  const sent = state.isOpenai
    ? encodeJsonMembers(withSettings(request, state, options, asksUsage))
    : Buffer.from(JSON.stringify({ ...encoded(form, messages, prompt, options), ...memberOf(state, body) }))
  return {
    isChat,
    isStreamed,
    wantsUsage,
    model: model.name,
    settings: filled,
    messages: messages ?? [],
    prompt: prompt ?? '',
    asked: bytes,
    sent,
  }
}

function encoded(
  form: ChatForm,
  messages: readonly ChatMessage[] | null,
  prompt: string | null,
  options: ChatOptions,
): object {
  // That the form has completions was asked when the configuration was written.
  return messages === null ? form.encodePrompt!(prompt!, options) : form.encode(messages, options)
}

/** The configuration's model, which no client may exchange for another; or the client's where there is none. */
function modelOf(
  asked: unknown,
  { name, provider, options }: ModelSettings,
): { readonly name: string } | { readonly problem: string } {
  if (name === null) {
    if (typeof asked === 'string' && asked !== '') return { name: asked }
    // There the deployment is the model.
    if (provider === 'azure') return { name: options!.azure_deployment_id! }
    return { problem: 'model parameter not found in request, nor in gateway configuration' }
  }
  return typeof asked === 'string' && asked !== '' && asked !== name
    ? { problem: `cannot use own model - must be: ${name}` }
    : { name }
}

/** What the configuration says, else what the client asks for. A text tells what of that is wrong. */
function optionsOf(
  body: LlmRequest['body'],
  fixed: ModelOptions | null,
  model: string,
  stream: boolean,
): ChatOptions | string {
  const numbers: Record<string, number | null> = {}
  for (const name of ['max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'top_k'] as const) {
    const asked = body[name] ?? null
    if (asked !== null && typeof asked !== 'number') return `${name}: expected a number`
    numbers[name] = asked
  }
  const stop = body['stop'] ?? null
  if (stop !== null && typeof stop !== 'string' && !isTextList(stop)) return 'stop: expected a text or a list of texts'
  return {
    model,
    max_tokens: fixed?.max_tokens ?? numbers['max_tokens'] ?? numbers['max_completion_tokens'] ?? null,
    temperature: fixed?.temperature ?? numbers['temperature'] ?? null,
    top_p: fixed?.top_p ?? numbers['top_p'] ?? null,
    top_k: fixed?.top_k ?? numbers['top_k'] ?? null,
    stop: typeof stop === 'string' ? [stop] : stop,
    stream,
    tools: toolsIn(body['tools']),
    toolChoice: choiceIn(body['tool_choice']),
    json: jsonIn(body['response_format']),
  }
}

/** Null for texts, and for what is no wish for JSON. */
function jsonIn(format: unknown): 'any' | object | null {
  const { type, json_schema: named } = (format ?? {}) as { readonly type?: unknown; readonly json_schema?: unknown }
  if (type === 'json_object') return 'any'
  if (type !== 'json_schema') return null
  const { schema } = (named ?? {}) as { readonly schema?: unknown }
  return typeof schema === 'object' && schema !== null ? schema : 'any'
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

/** What of the request has no place in the form of the service; to leave it out unsaid would answer another question. */
function unsayable(body: LlmRequest['body'], messages: readonly ChatMessage[], { takes }: ChatForm): string | null {
  if (typeof body['n'] === 'number' && body['n'] > 1) return 'n: only 1 is available for this LLM'
  const tools = body['tools'] ?? []
  const hasTools = !Array.isArray(tools) || tools.length > 0
  if (hasTools && !takes.tools) return 'tools: not available for this LLM'
  if (hasTools && toolsIn(tools) === null) return 'tools: expected a list of functions'
  if (!takes.json && jsonIn(body['response_format']) !== null) return 'response_format: not available for this LLM'
  for (const [index, { content }] of messages.entries()) {
    const strange = strangePart(content)
    if (strange !== null) return `messages[${index}].content: '${strange}' is not available for this LLM`
    if (!takes.images && imagesIn(content).length > 0)
      return `messages[${index}].content: images are not available for this LLM`
  }
  return null
}

/** The client's own body with what the configuration sets: every other byte stays. */
function withSettings(request: LlmRequest, state: State, options: ChatOptions, asksUsage: boolean): JsonMembers {
  const { members, body } = request
  const fixed = state.config.model.options
  members.set('model', rawJson(options.model))
  members.set('stream', rawJson(options.stream))
  // OpenAI's services don't know it, and refuse what they don't know.
  members.delete('top_k')
  if (fixed?.max_tokens != null)
    members.set(
      body['max_completion_tokens'] === undefined ? 'max_tokens' : 'max_completion_tokens',
      rawJson(fixed.max_tokens),
    )
  if (fixed?.temperature != null) members.set('temperature', rawJson(fixed.temperature))
  if (fixed?.top_p != null) members.set('top_p', rawJson(fixed.top_p))
  if (asksUsage) members.set('stream_options', '{"include_usage":true}')
  for (const [name, value] of Object.entries(memberOf(state, body))) members.set(name, rawJson(value))
  return members
}

/** The member that authenticates, where one does. */
function memberOf({ config: { auth } }: State, body: LlmRequest['body']): Readonly<Record<string, unknown>> {
  if (auth === null || auth.param_location !== 'body' || auth.param_name === null) return {}
  const own = body[auth.param_name]
  return { [auth.param_name]: auth.allow_override === true && own !== undefined ? own : auth.param_value }
}
