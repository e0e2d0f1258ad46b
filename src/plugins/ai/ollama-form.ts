/** The form of Ollama's own API: `/api/chat` and `/api/generate`. */
import { at, countAt, listAt, partOf, stringAt, withoutNulls } from './chat-form.ts'
import type { ChatAnswer, ChatForm, ChatOptions, EventReader, FinishReason, ToolCall } from './chat-form.ts'
import { imagesIn } from './content-parts.ts'
import { textOf, type ChatMessage } from './llm-request.ts'
import { toolCallsIn } from './openai-form.ts'
import { parseArguments } from './tool-arguments.ts'

export const ollama: ChatForm = {
  takes: { images: true, tools: true, json: true },

  encode: (messages, options) =>
    withoutNulls({
      model: options.model,
      messages: messages.map(messageOf),
      stream: options.stream ?? false,
      tools: options.tools?.map(({ name, description, parameters }) => ({
        type: 'function',
        function: withoutNulls({ name, description, parameters }),
      })),
      format: options.json === 'any' ? 'json' : options.json,
      options: settings(options),
    }),

  encodePrompt: (prompt, options) =>
    withoutNulls({ model: options.model, prompt, stream: options.stream ?? false, options: settings(options) }),

  decode(answer) {
    const toolCalls = callsOf(answer, 0)
    const text = stringAt(answer, 'message', 'content') ?? stringAt(answer, 'response')
    if (text === null && toolCalls.length === 0) return null
    return { ...factsOf(answer), text: text ?? '', toolCalls, finish: finishOf(answer, toolCalls.length > 0) }
  },

  openEvents: openReader,
}

function openReader(): EventReader {
  let calls = 0
  return (event) => {
    const problem = stringAt(event, 'error')
    if (problem !== null) return partOf({ problem, isLast: true })
    if (at(event, 'message') === undefined && at(event, 'response') === undefined && at(event, 'done') !== true)
      return null
    const toolCalls = callsOf(event, calls)
    calls += toolCalls.length
    const isLast = at(event, 'done') === true
    return partOf({
      ...factsOf(event),
      text: stringAt(event, 'message', 'content') ?? stringAt(event, 'response') ?? '',
      toolCalls,
      finish: isLast ? finishOf(event, calls > 0) : null,
      isLast,
    })
  }
}

function settings({ max_tokens, temperature, top_p, top_k, stop }: ChatOptions): object {
  return withoutNulls({ num_predict: max_tokens, temperature, top_p, top_k, stop })
}

function messageOf(message: ChatMessage): object {
  const { role, content } = message
  const images = imagesIn(content).map(({ data, url }) => data?.base64 ?? url)
  const calls = toolCallsIn(message.tool_calls).map((call) => ({
    function: { name: call.name, arguments: parseArguments(call.arguments) },
  }))
  return withoutNulls({
    role,
    content: textOf(content),
    images: images.length === 0 ? null : images,
    tool_calls: calls.length === 0 ? null : calls,
  })
}

function finishOf(answer: unknown, hasCalls: boolean): FinishReason {
  return hasCalls ? 'tool_calls' : stringAt(answer, 'done_reason') === 'length' ? 'length' : 'stop'
}

function factsOf(answer: unknown): Pick<ChatAnswer, 'promptTokens' | 'completionTokens' | 'model' | 'id'> {
  return {
    promptTokens: countAt(answer, 'prompt_eval_count'),
    completionTokens: countAt(answer, 'eval_count'),
    model: stringAt(answer, 'model'),
    id: null,
  }
}

function callsOf(answer: unknown, before: number): ToolCall[] {
  return listAt(answer, 'message', 'tool_calls').map((call, index) => ({
    index: before + index,
    id: stringAt(call, 'id') ?? `call_${before + index}`,
    name: stringAt(call, 'function', 'name'),
    arguments: JSON.stringify(at(call, 'function', 'arguments') ?? {}),
  }))
}
