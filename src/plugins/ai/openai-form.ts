/** The form of OpenAI, which many others speak too: what clients of this gateway send and get. */
import { at, countAt, finishBy, listAt, NO_ANSWER, partOf, stringAt, withoutNulls } from './chat-form.ts'
import type { ChatAnswer, ChatForm, ChatOptions, FinishReason, ToolCall } from './chat-form.ts'

const REASONS: Readonly<Record<string, FinishReason>> = {
  length: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
}

export const openai: ChatForm = {
  takes: { images: true, tools: true, json: true },
  encode: (messages, options) => withoutNulls({ model: options.model, messages, ...settings(options) }),
  encodePrompt: (prompt, options) => withoutNulls({ model: options.model, prompt, ...settings(options) }),

  decode(answer) {
    const choice = at(answer, 'choices', 0)
    const toolCalls = toolCallsIn(at(choice, 'message', 'tool_calls'))
    const text = stringAt(choice, 'message', 'content') ?? stringAt(choice, 'text')
    if (text === null && toolCalls.length === 0) return null
    return { ...factsOf(answer), text: text ?? '', finish: finishOf(choice), toolCalls }
  },

  openEvents: () => (event) => {
    const problem = stringAt(event, 'error', 'message')
    if (problem !== null) return partOf({ problem, isLast: true })
    const choice = at(event, 'choices', 0)
    if (choice === undefined ? at(event, 'usage') === undefined : at(choice, 'message') !== undefined) return null
    return partOf({
      ...factsOf(event),
      text: stringAt(choice, 'delta', 'content') ?? stringAt(choice, 'text') ?? '',
      finish: finishOf(choice),
      toolCalls: toolCallsIn(at(choice, 'delta', 'tool_calls')),
    })
  },
}

/** What an answer to clients who speak this form is: whatever its choices say, which may be no text at all. Null for what is none. */
export function openaiAnswer(answer: unknown): ChatAnswer | null {
  if (!Array.isArray(at(answer, 'choices'))) return null
  return openai.decode(answer) ?? { ...NO_ANSWER, ...factsOf(answer), finish: finishOf(at(answer, 'choices', 0)) }
}

function settings({ max_tokens, temperature, top_p, stop, stream }: ChatOptions): object {
  return { max_tokens, temperature, top_p, stop, stream: stream ?? false }
}

function finishOf(choice: unknown): FinishReason | null {
  return finishBy(REASONS, stringAt(choice, 'finish_reason'))
}

function factsOf(answer: unknown): Pick<ChatAnswer, 'promptTokens' | 'completionTokens' | 'model' | 'id'> {
  return {
    promptTokens: countAt(answer, 'usage', 'prompt_tokens'),
    completionTokens: countAt(answer, 'usage', 'completion_tokens'),
    model: stringAt(answer, 'model'),
    id: stringAt(answer, 'id'),
  }
}

/** Calls in OpenAI's form, as answers have them and messages of the assistant repeat them. */
export function toolCallsIn(calls: unknown): ToolCall[] {
  return listAt({ calls }, 'calls').map((call, index) => ({
    index: countAt(call, 'index') ?? index,
    id: stringAt(call, 'id'),
    name: stringAt(call, 'function', 'name'),
    arguments: stringAt(call, 'function', 'arguments') ?? '',
  }))
}
