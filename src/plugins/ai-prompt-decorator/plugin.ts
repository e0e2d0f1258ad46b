/** Puts messages of the operator's before and after those of a chat, as Kong's ai-prompt-decorator does. */
import { definePlugin, type Exchange, type Exit } from '#pdk'
import { encodeJsonMembers, rawJson } from '#pdk/json-members.ts'
import {
  DEFAULT_LIMIT,
  isExit,
  messagesOf,
  readLlmRequest,
  refuseLlm,
  refuseLlmFormat,
  type ChatMessage,
} from '../ai/llm-request.ts'
import { schema } from './schema.ts'

interface State {
  readonly before: readonly ChatMessage[]
  readonly after: readonly ChatMessage[]
  readonly limitBytes: number
}

export const aiPromptDecorator = definePlugin({
  schema,

  refuse: ({ llm_format: format }) => refuseLlmFormat(format),

  prepare({ prompts, max_request_body_size: limit }): State {
    const inOrder = (messages: readonly ChatMessage[] | null | undefined) =>
      (messages ?? []).map(({ role, content }) => ({ role, content }))
    return { before: inOrder(prompts?.prepend), after: inOrder(prompts?.append), limitBytes: limit ?? DEFAULT_LIMIT }
  },

  access: decorate,
})

async function decorate(exchange: Exchange, { before, after, limitBytes }: State): Promise<void | Exit> {
  const request = await readLlmRequest(exchange, limitBytes)
  if (isExit(request)) return request
  const messages = messagesOf(request)
  if (messages === null) return refuseLlm(exchange, 400, 'this LLM route only supports llm/chat type requests')
  request.members.set('messages', rawJson([...before, ...messages, ...after]))
  exchange.request.body.replace(encodeJsonMembers(request.members))
}
