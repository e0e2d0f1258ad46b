/** The form of Cohere's API, version 1: chats and generations. */
import { apart, at, countAt, finishBy, partOf, stringAt, withoutNulls } from './chat-form.ts'
import type { ChatForm, ChatOptions, EventReader, FinishReason } from './chat-form.ts'
import { textOf } from './llm-request.ts'

const REASONS: Readonly<Record<string, FinishReason>> = {
  MAX_TOKENS: 'length',
  ERROR_LIMIT: 'length',
  ERROR_TOXIC: 'content_filter',
}

export const cohere: ChatForm = {
  takes: { images: false, tools: false, json: false },

  encode(messages, options) {
    const { system, rest } = apart(messages)
    const history = rest.slice(0, -1).map(({ role, content }) => ({
      role: role === 'user' ? 'USER' : 'CHATBOT',
      message: textOf(content),
    }))
    return withoutNulls({
      model: options.model,
      preamble: system === '' ? null : system,
      chat_history: history.length === 0 ? null : history,
      message: textOf(rest.at(-1)?.content),
      ...settings(options),
    })
  },

  encodePrompt: (prompt, options) => withoutNulls({ model: options.model, prompt, ...settings(options) }),

  decode(answer) {
    const generation = at(answer, 'generations', 0)
    const text = stringAt(generation, 'text') ?? stringAt(answer, 'text')
    if (text === null) return null
    return {
      text,
      ...unitsOf(answer),
      model: stringAt(answer, 'model'),
      id: stringAt(answer, 'generation_id') ?? stringAt(answer, 'id'),
      finish: finishBy(
        REASONS,
        stringAt(answer, 'finish_reason') ?? stringAt(generation, 'finish_reason') ?? 'COMPLETE',
      ),
      toolCalls: [],
    }
  },

  openEvents: (): EventReader => (event) => {
    switch (at(event, 'event_type')) {
      case 'stream-start':
        return partOf({ id: stringAt(event, 'generation_id') })
      case 'text-generation':
        return partOf({ text: stringAt(event, 'text') ?? '' })
      case 'stream-end': {
        const reason = stringAt(event, 'finish_reason')
        const isFailed = reason === 'ERROR' || reason === 'TIMEOUT'
        return partOf({
          ...unitsOf(at(event, 'response')),
          id: stringAt(event, 'response', 'generation_id') ?? stringAt(event, 'response', 'id'),
          finish: finishBy(REASONS, reason ?? 'COMPLETE'),
          problem: isFailed ? `the answer ended by ${reason}` : null,
          isLast: true,
        })
      }
      default:
        return null
    }
  },
}

function settings({ max_tokens, temperature, top_p, top_k, stop, stream }: ChatOptions): object {
  return { max_tokens, temperature, p: top_p, k: top_k, stop_sequences: stop, stream: stream ?? false }
}

function unitsOf(answer: unknown): { promptTokens: number | null; completionTokens: number | null } {
  const units = at(answer, 'meta', 'billed_units')
  const counts = at(answer, 'token_count')
  return {
    promptTokens: countAt(units, 'input_tokens') ?? countAt(counts, 'prompt_tokens'),
    completionTokens: countAt(units, 'output_tokens') ?? countAt(counts, 'response_tokens'),
  }
}
