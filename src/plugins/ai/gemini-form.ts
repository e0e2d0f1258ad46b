/** The form of Gemini's `generateContent` and `streamGenerateContent`. */
import { apart, at, countAt, finishBy, listAt, partOf, stringAt, withoutNulls } from './chat-form.ts'
import type { ChatAnswer, ChatForm, ChatOptions, FinishReason, ToolCall } from './chat-form.ts'
import { partsOf } from './content-parts.ts'
import { textOf, type ChatMessage } from './llm-request.ts'
import { toolCallsIn } from './openai-form.ts'
import { parseArguments } from './tool-arguments.ts'

const REASONS: Readonly<Record<string, FinishReason>> = {
  MAX_TOKENS: 'length',
  SAFETY: 'content_filter',
  RECITATION: 'content_filter',
  BLOCKLIST: 'content_filter',
  PROHIBITED_CONTENT: 'content_filter',
  SPII: 'content_filter',
  IMAGE_SAFETY: 'content_filter',
}

export const gemini: ChatForm = {
  takes: { images: true, tools: true, json: true },

  encode(messages, { max_tokens, temperature, top_p, top_k, stop, tools, toolChoice, json }: ChatOptions) {
    const { system, rest } = apart(messages)
    const names = callNames(rest)
    return withoutNulls({
      systemInstruction: system === '' ? null : { parts: [{ text: system }] },
      contents: rest.map((message) => turnOf(message, names)),
      generationConfig: withoutNulls({
        maxOutputTokens: max_tokens,
        temperature,
        topP: top_p,
        topK: top_k,
        stopSequences: stop,
        responseMimeType: json == null ? null : 'application/json',
        responseJsonSchema: json === 'any' ? null : json,
      }),
      tools:
        tools == null
          ? null
          : [
              {
                functionDeclarations: tools.map(({ name, description, parameters }) =>
                  withoutNulls({ name, description, parameters }),
                ),
              },
            ],
      toolConfig: tools == null || toolChoice == null ? null : { functionCallingConfig: choiceOf(toolChoice) },
    })
  },

  encodePrompt: null,

  decode(answer) {
    const said = contentOf(answer, 0)
    return said === null || (said.text === null && said.toolCalls.length === 0)
      ? null
      : { ...said.facts, text: said.text ?? '', toolCalls: said.toolCalls }
  },

  openEvents: () => {
    let calls = 0
    return (event) => {
      const problem = stringAt(event, 'error', 'message')
      if (problem !== null) return partOf({ problem, isLast: true })
      const said = contentOf(event, calls)
      if (said === null) return null
      calls += said.toolCalls.length
      return partOf({ ...said.facts, text: said.text ?? '', toolCalls: said.toolCalls })
    }
  },
}

/** What the first candidate says. `calls`: how many functions it has asked for before. */
function contentOf(answer: unknown, calls: number) {
  const candidate = at(answer, 'candidates', 0)
  const usage = at(answer, 'usageMetadata')
  const blocked = stringAt(answer, 'promptFeedback', 'blockReason')
  if (candidate === undefined && usage === undefined && blocked === null) return null
  const parts = listAt(candidate, 'content', 'parts').filter((part) => at(part, 'thought') !== true)
  const asked = parts.filter((part) => at(part, 'functionCall') !== undefined)
  const toolCalls = asked.map((part, index): ToolCall => ({
    index: calls + index,
    id: stringAt(part, 'functionCall', 'id') ?? `call_${calls + index}`,
    name: stringAt(part, 'functionCall', 'name'),
    arguments: JSON.stringify(at(part, 'functionCall', 'args') ?? {}),
  }))
  const reason = stringAt(candidate, 'finishReason')
  const isFiltered = blocked !== null || (reason !== null && REASONS[reason] === 'content_filter')
  const facts: Omit<ChatAnswer, 'text' | 'toolCalls'> = {
    promptTokens: countAt(usage, 'promptTokenCount'),
    completionTokens: countAt(usage, 'candidatesTokenCount'),
    model: stringAt(answer, 'modelVersion'),
    id: stringAt(answer, 'responseId'),
    finish:
      blocked !== null
        ? 'content_filter'
        : reason !== null && toolCalls.length + calls > 0
          ? 'tool_calls'
          : finishBy(REASONS, reason),
  }
  // What was filtered out is an answer without a text.
  const text = parts.length > 0 ? textOf(parts) : isFiltered ? '' : null
  return { facts, text, toolCalls }
}

function turnOf(message: ChatMessage, names: ReadonlyMap<string, string>): object {
  const { role, content } = message
  if (role === 'tool') {
    const id = stringAt(message, 'tool_call_id') ?? ''
    const name = names.get(id) ?? id
    return { role: 'user', parts: [{ functionResponse: { name, response: resultOf(textOf(content)) } }] }
  }
  const calls = toolCallsIn(message.tool_calls)
  const parts: object[] = calls.length > 0 && textOf(content) === '' ? [] : partsOf(content).map(geminiPart)
  for (const call of calls) parts.push({ functionCall: { name: call.name, args: parseArguments(call.arguments) } })
  return { role: role === 'assistant' ? 'model' : 'user', parts: parts.length === 0 ? [{ text: '' }] : parts }
}

function geminiPart(part: ReturnType<typeof partsOf>[number]): object {
  if (part.kind === 'text') return { text: part.text }
  const { url, data } = part
  return data === null
    ? { fileData: { fileUri: url } }
    : { inlineData: { mimeType: data.mediaType, data: data.base64 } }
}

/** Results are objects there. */
function resultOf(text: string): object {
  const value = parseArguments(text)
  return Object.keys(value).length === 1 && 'value' in value ? { result: value.value } : value
}

/** By id, since answers of tools name only that. */
function callNames(messages: readonly ChatMessage[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const { tool_calls: calls } of messages)
    for (const { id, name } of toolCallsIn(calls)) if (id !== null && name !== null) names.set(id, name)
  return names
}

function choiceOf(choice: string): object {
  const modes: Readonly<Record<string, string>> = { auto: 'AUTO', none: 'NONE', required: 'ANY' }
  return Object.hasOwn(modes, choice) ? { mode: modes[choice] } : { mode: 'ANY', allowedFunctionNames: [choice] }
}
