/** The form of Anthropic's Messages, and of its older text completions. */
import { parseArguments } from './tool-arguments.ts'
import { apart, at, countAt, finishBy, listAt, partOf, stringAt, withoutNulls } from './chat-form.ts'
import type { AnswerPart, ChatForm, ChatOptions, EventReader, FinishReason, ToolCall } from './chat-form.ts'
import { imagesIn, partsOf, type ContentPart } from './content-parts.ts'
import { textOf, type ChatMessage } from './llm-request.ts'
import { toolCallsIn } from './openai-form.ts'

/** Anthropic's services want a bound; other services have one of their own. */
const ANTHROPIC_TOKENS = 1024

const REASONS: Readonly<Record<string, FinishReason>> = {
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
}

export const anthropic: ChatForm = {
  takes: { images: true, tools: true, json: false },

  encode(messages, options) {
    const { system, rest } = apart(messages)
    const { model, max_tokens, temperature, top_p, top_k, stop, stream, tools, toolChoice } = options
    return withoutNulls({
      model,
      system: system === '' ? null : system,
      messages: joinResults(rest.map(messageOf)),
      max_tokens: max_tokens ?? ANTHROPIC_TOKENS,
      temperature,
      top_p,
      top_k,
      stop_sequences: stop,
      tools: tools?.map(({ name, description, parameters }) =>
        withoutNulls({ name, description, input_schema: parameters ?? { type: 'object' } }),
      ),
      tool_choice: tools == null ? null : choiceOf(toolChoice),
      stream: stream === true ? true : null,
    })
  },

  encodePrompt: (prompt, { model, max_tokens, temperature, top_p, top_k, stop, stream }: ChatOptions) =>
    withoutNulls({
      model,
      prompt: `\n\nHuman: ${prompt}\n\nAssistant:`,
      max_tokens_to_sample: max_tokens ?? ANTHROPIC_TOKENS,
      temperature,
      top_p,
      top_k,
      stop_sequences: stop,
      stream: stream === true ? true : null,
    }),

  decode(answer) {
    const completion = stringAt(answer, 'completion')
    const content = listAt(answer, 'content')
    if (completion === null && content.length === 0) return null
    const calls = content.filter((block) => at(block, 'type') === 'tool_use')
    return {
      text: completion ?? textOf(content),
      promptTokens: countAt(answer, 'usage', 'input_tokens'),
      completionTokens: countAt(answer, 'usage', 'output_tokens'),
      model: stringAt(answer, 'model'),
      id: stringAt(answer, 'id'),
      finish: finishBy(REASONS, stringAt(answer, 'stop_reason')),
      toolCalls: calls.map((block, index) => callOf(block, index, JSON.stringify(at(block, 'input') ?? {}))),
    }
  },

  openEvents: openReader,
}

function openReader(): EventReader {
  /** Blocks are numbered together, calls of tools by themselves. */
  const callNumbers = new Map<number, number>()
  return (event) => {
    const block = countAt(event, 'index') ?? 0
    switch (at(event, 'type')) {
      case 'message_start':
        return partOf({
          id: stringAt(event, 'message', 'id'),
          model: stringAt(event, 'message', 'model'),
          promptTokens: countAt(event, 'message', 'usage', 'input_tokens'),
          completionTokens: countAt(event, 'message', 'usage', 'output_tokens'),
        })
      case 'content_block_start':
        if (at(event, 'content_block', 'type') !== 'tool_use')
          return partOf({ text: stringAt(event, 'content_block', 'text') ?? '' })
        callNumbers.set(block, callNumbers.size)
        return partOf({ toolCalls: [callOf(at(event, 'content_block'), callNumbers.get(block)!, '')] })
      case 'content_block_delta':
        return deltaOf(event, callNumbers.get(block) ?? 0)
      case 'message_delta':
        return partOf({
          finish: finishBy(REASONS, stringAt(event, 'delta', 'stop_reason')),
          promptTokens: countAt(event, 'usage', 'input_tokens'),
          completionTokens: countAt(event, 'usage', 'output_tokens'),
        })
      case 'completion':
        return partOf({
          text: stringAt(event, 'completion') ?? '',
          model: stringAt(event, 'model'),
          id: stringAt(event, 'id'),
          finish: finishBy(REASONS, stringAt(event, 'stop_reason')),
        })
      case 'message_stop':
        return partOf({ isLast: true })
      case 'error':
        return partOf({ problem: stringAt(event, 'error', 'message') ?? 'error', isLast: true })
      default:
        return null
    }
  }
}

function deltaOf(event: unknown, call: number): AnswerPart | null {
  const json = stringAt(event, 'delta', 'partial_json')
  if (json !== null) return partOf({ toolCalls: [{ index: call, id: null, name: null, arguments: json }] })
  const text = stringAt(event, 'delta', 'text')
  // Thoughts and signatures have no place in OpenAI's form.
  return text === null ? null : partOf({ text })
}

function callOf(block: unknown, index: number, json: string): ToolCall {
  return { index, id: stringAt(block, 'id'), name: stringAt(block, 'name'), arguments: json }
}

function choiceOf(choice: string | null | undefined): object | null {
  if (choice == null) return null
  const types: Readonly<Record<string, string>> = { auto: 'auto', none: 'none', required: 'any' }
  return Object.hasOwn(types, choice) ? { type: types[choice] } : { type: 'tool', name: choice }
}

interface Turn {
  readonly role: string
  readonly content: unknown
}

function messageOf(message: ChatMessage): Turn {
  const { role, content } = message
  if (role === 'tool') {
    const result = { type: 'tool_result', tool_use_id: message.tool_call_id ?? '', content: textOf(content) }
    return { role: 'user', content: [result] }
  }
  const calls = toolCallsIn(message.tool_calls)
  if (calls.length > 0) {
    const said = textOf(content)
    return {
      role: 'assistant',
      content: [
        ...(said === '' ? [] : [{ type: 'text', text: said }]),
        ...calls.map((call) => ({
          type: 'tool_use',
          id: call.id,
          name: call.name,
          input: parseArguments(call.arguments),
        })),
      ],
    }
  }
  return { role, content: imagesIn(content).length > 0 ? partsOf(content).map(blockOf) : textOf(content) }
}

function blockOf(part: ContentPart): object {
  if (part.kind === 'text') return { type: 'text', text: part.text }
  const { url, data } = part
  const source =
    data === null ? { type: 'url', url } : { type: 'base64', media_type: data.mediaType, data: data.base64 }
  return { type: 'image', source }
}

/** Results of tools that were asked for together stand in one message. */
function joinResults(turns: readonly Turn[]): Turn[] {
  const joined: Turn[] = []
  for (const turn of turns) {
    const before = joined.at(-1)
    if (isResult(turn) && before !== undefined && isResult(before))
      joined[joined.length - 1] = { role: 'user', content: [...before.content, ...turn.content] }
    else joined.push(turn)
  }
  return joined
}

function isResult(turn: Turn): turn is Turn & { readonly content: readonly unknown[] } {
  return Array.isArray(turn.content) && at(turn.content, 0, 'type') === 'tool_result'
}
