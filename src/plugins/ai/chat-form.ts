/** What the forms of those who serve models have in common: what is asked, what of an answer counts, whole or as it comes. */
import { textOf, type ChatMessage } from './llm-request.ts'

export interface ChatOptions {
  readonly model: string | null
  readonly max_tokens: number | null
  readonly temperature: number | null
  readonly top_p: number | null
  readonly top_k: number | null
  /** The rest is only what clients ask for. */
  readonly stop?: readonly string[] | null
  readonly stream?: boolean
  readonly tools?: readonly Tool[] | null
  /** `auto`, `none`, `required`, or the name of a tool. */
  readonly toolChoice?: string | null
  /** The answer is to be JSON: any, or as this JSON Schema says. */
  readonly json?: 'any' | object | null
}

/** A function that the model may ask for. */
export interface Tool {
  readonly name: string
  readonly description: string | null
  /** A JSON Schema. */
  readonly parameters: unknown
}

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter'

/** A function that the model asks for; `arguments` is JSON, of which a streamed answer has a piece in each event. */
export interface ToolCall {
  /** From 0. */
  readonly index: number
  readonly id: string | null
  readonly name: string | null
  readonly arguments: string
}

export interface ChatAnswer {
  readonly text: string
  /** As the service counts them; null where it does not say. */
  readonly promptTokens: number | null
  readonly completionTokens: number | null
  readonly model: string | null
  readonly id: string | null
  readonly finish: FinishReason | null
  readonly toolCalls: readonly ToolCall[]
}

/** What an event of a streamed answer says: members are null, or empty, where it says nothing of them. Counts are totals so far. */
export interface AnswerPart extends ChatAnswer {
  /** Nothing follows. */
  readonly isLast: boolean
  /** What the service says has gone wrong. */
  readonly problem: string | null
}

/** Reads the events of one answer in their order; null for one that says nothing. */
export type EventReader = (event: unknown) => AnswerPart | null

export interface ChatForm {
  /** What besides texts has a place in it. */
  readonly takes: { readonly images: boolean; readonly tools: boolean; readonly json: boolean }
  encode(messages: readonly ChatMessage[], options: ChatOptions): object
  /** Null where the form has no completions. */
  readonly encodePrompt: ((prompt: string, options: ChatOptions) => object) | null
  /** Null for what is no answer in this form, to a chat or a prompt. */
  decode(answer: unknown): ChatAnswer | null
  /** Null where answers can't be streamed. */
  readonly openEvents: (() => EventReader) | null
}

export const NO_ANSWER: ChatAnswer = {
  text: '',
  promptTokens: null,
  completionTokens: null,
  model: null,
  id: null,
  finish: null,
  toolCalls: [],
}

export function partOf(said: Partial<AnswerPart>): AnswerPart {
  return { ...NO_ANSWER, isLast: false, problem: null, ...said }
}

/** Services that have a place of its own for what the system says. */
export function apart(messages: readonly ChatMessage[]): {
  readonly system: string
  readonly rest: readonly ChatMessage[]
} {
  const isSystem = ({ role }: ChatMessage) => role === 'system' || role === 'developer'
  const system = messages.filter(isSystem).map(({ content }) => textOf(content))
  return { system: system.join('\n'), rest: messages.filter((message) => !isSystem(message)) }
}

type Path = readonly (string | number)[]

export function countAt(answer: unknown, ...path: Path): number | null {
  const count = at(answer, ...path)
  return typeof count === 'number' && Number.isFinite(count) ? count : null
}

export function stringAt(answer: unknown, ...path: Path): string | null {
  const text = at(answer, ...path)
  return typeof text === 'string' ? text : null
}

/** Empty where there is none. */
export function listAt(answer: unknown, ...path: Path): readonly unknown[] {
  const list = at(answer, ...path)
  return Array.isArray(list) ? list : []
}

export function at(value: unknown, ...path: Path): unknown {
  let here = value
  for (const name of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, name)) return undefined
    here = (here as Readonly<Record<string | number, unknown>>)[name]
  }
  return here
}

/** Names of reasons differ, those that are not in the table are taken for the usual end. */
export function finishBy(reasons: Readonly<Record<string, FinishReason>>, reason: string | null): FinishReason | null {
  if (reason === null) return null
  return Object.hasOwn(reasons, reason) ? reasons[reason]! : 'stop'
}

export function withoutNulls(members: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null && value !== undefined))
}
