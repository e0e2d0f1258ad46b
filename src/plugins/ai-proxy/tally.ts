/** What one answer used, gathered while it is read. */
import type { ChatAnswer } from '../ai/chat-form.ts'
import { textOf, type ChatMessage } from '../ai/llm-request.ts'
import type { TokenCounts } from './openai-answer.ts'

/** Of answers that are logged. */
const TEXT_MAX = 1 << 20
/** Kong's estimate of the tokens of a prompt whose answer is streamed, by its words. */
const TOKENS_PER_WORD = 1.8
/** Kong's estimate of the tokens of an answer, by the characters of each event. */
const CHARACTERS_PER_TOKEN = 4

export class Tally implements TokenCounts {
  promptTokens: number | null = null
  completionTokens: number | null = null
  /** As the service names it. */
  model: string | null = null
  finish: ChatAnswer['finish'] = null
  /** What the answer says, where that is logged. */
  text = ''
  /** By the length of what came. */
  estimatedTokens = 0
  readonly #keepsText: boolean

  constructor(keepsText: boolean) {
    this.#keepsText = keepsText
  }

  /** Counts of later events are totals that take the place of earlier ones. */
  add({ text, promptTokens, completionTokens, model, finish }: ChatAnswer): void {
    this.promptTokens = promptTokens ?? this.promptTokens
    this.completionTokens = completionTokens ?? this.completionTokens
    this.model = model ?? this.model
    this.finish = finish ?? this.finish
    this.estimatedTokens += Math.ceil(text.trim().length / CHARACTERS_PER_TOKEN)
    if (this.#keepsText && this.text.length < TEXT_MAX) this.text += text.slice(0, TEXT_MAX - this.text.length)
  }
}

export function estimatedPromptTokens(messages: readonly ChatMessage[], prompt: string): number {
  let words = wordsIn(prompt)
  for (const { content } of messages) words += wordsIn(textOf(content))
  return Math.round(words * TOKENS_PER_WORD)
}

function wordsIn(text: string): number {
  return text.match(/\S+/g)?.length ?? 0
}
