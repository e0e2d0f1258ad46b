/** Chats in the forms of those who serve models: what is sent, and what of the answer is the text. */
import { textOf, type ChatMessage } from './llm-request.ts'

export interface ChatOptions {
  readonly model: string | null
  readonly max_tokens: number | null
  readonly temperature: number | null
  readonly top_p: number | null
  readonly top_k: number | null
}

export interface ChatAnswer {
  readonly text: string
  /** As the service counts them; null where it does not say. */
  readonly promptTokens: number | null
  readonly completionTokens: number | null
  readonly model: string | null
}

export interface ChatForm {
  encode(messages: readonly ChatMessage[], options: ChatOptions): object
  /** Null for what is no answer in this form. */
  decode(answer: unknown): ChatAnswer | null
}

/** Anthropic's services want a bound; other services have one of their own. */
const ANTHROPIC_TOKENS = 1024

export const openai: ChatForm = {
  encode: (messages, { model, max_tokens, temperature, top_p }) =>
    withoutNulls({ model, messages, max_tokens, temperature, top_p, stream: false }),
  decode: (answer) =>
    answered(
      at(answer, 'choices', 0, 'message', 'content'),
      answer,
      ['usage', 'prompt_tokens'],
      ['usage', 'completion_tokens'],
    ),
}

export const ollama: ChatForm = {
  encode: (messages, { model, max_tokens, temperature, top_p, top_k }) =>
    withoutNulls({
      model,
      messages,
      stream: false,
      options: withoutNulls({ num_predict: max_tokens, temperature, top_p, top_k }),
    }),
  decode: (answer) => answered(at(answer, 'message', 'content'), answer, ['prompt_eval_count'], ['eval_count']),
}

export const anthropic: ChatForm = {
  encode(messages, { model, max_tokens, temperature, top_p, top_k }) {
    const { system, rest } = apart(messages)
    return withoutNulls({
      model,
      system: system === '' ? null : system,
      messages: rest,
      max_tokens: max_tokens ?? ANTHROPIC_TOKENS,
      temperature,
      top_p,
      top_k,
    })
  },
  decode: (answer) =>
    answered(joined(at(answer, 'content')), answer, ['usage', 'input_tokens'], ['usage', 'output_tokens']),
}

export const cohere: ChatForm = {
  encode(messages, { model, max_tokens, temperature, top_p, top_k }) {
    const { system, rest } = apart(messages)
    const history = rest.slice(0, -1).map(({ role, content }) => ({
      role: role === 'user' ? 'USER' : 'CHATBOT',
      message: textOf(content),
    }))
    return withoutNulls({
      model,
      preamble: system === '' ? null : system,
      chat_history: history.length === 0 ? null : history,
      message: textOf(rest.at(-1)?.content),
      max_tokens,
      temperature,
      p: top_p,
      k: top_k,
      stream: false,
    })
  },
  decode: (answer) =>
    answered(
      at(answer, 'text'),
      answer,
      ['meta', 'billed_units', 'input_tokens'],
      ['meta', 'billed_units', 'output_tokens'],
    ),
}

export const gemini: ChatForm = {
  encode(messages, { max_tokens, temperature, top_p, top_k }) {
    const { system, rest } = apart(messages)
    return withoutNulls({
      systemInstruction: system === '' ? null : { parts: [{ text: system }] },
      contents: rest.map(({ role, content }) => ({
        role: role === 'assistant' ? 'model' : 'user',
        parts: [{ text: textOf(content) }],
      })),
      generationConfig: withoutNulls({ maxOutputTokens: max_tokens, temperature, topP: top_p, topK: top_k }),
    })
  },
  decode: (answer) =>
    answered(
      joined(at(answer, 'candidates', 0, 'content', 'parts')),
      answer,
      ['usageMetadata', 'promptTokenCount'],
      ['usageMetadata', 'candidatesTokenCount'],
    ),
}

/** The prompt as a text with the marks that the model was trained with. */
export const llamaRaw: ChatForm = {
  encode(messages, { max_tokens, temperature, top_p, top_k }) {
    const { system, rest } = apart(messages)
    let text = '<s>[INST] '
    if (system !== '') text += `<<SYS>>\n${unmarked(system)}\n<</SYS>>\n\n`
    rest.forEach(({ role, content }, index) => {
      const said = unmarked(textOf(content))
      if (role === 'assistant') text += ` [/INST] ${said} </s><s>[INST] `
      else text += index > 0 && rest[index - 1]!.role !== 'assistant' ? `\n${said}` : said
    })
    const parameters = withoutNulls({ max_new_tokens: max_tokens, temperature, top_p, top_k })
    return { inputs: `${text} [/INST]`, parameters: { ...parameters, return_full_text: false } }
  },
  decode: (answer) => answered(at(answer, 0, 'generated_text') ?? at(answer, 'generated_text'), answer, [], []),
}

/** Marks in what somebody says would let him speak as another. */
function unmarked(text: string): string {
  return text.replace(/<\/?s>|\[\/?INST\]|<<\/?SYS>>/g, '')
}

/** Services that have a place of its own for what the system says. */
function apart(messages: readonly ChatMessage[]): { readonly system: string; readonly rest: readonly ChatMessage[] } {
  const system = messages.filter(({ role }) => role === 'system').map(({ content }) => textOf(content))
  return { system: system.join('\n'), rest: messages.filter(({ role }) => role !== 'system') }
}

type Path = readonly (string | number)[]

function answered(text: unknown, answer: unknown, prompt: Path, completion: Path): ChatAnswer | null {
  if (typeof text !== 'string') return null
  const model = at(answer, 'model')
  return {
    text,
    promptTokens: countAt(answer, prompt),
    completionTokens: countAt(answer, completion),
    model: typeof model === 'string' ? model : null,
  }
}

function countAt(answer: unknown, path: Path): number | null {
  const count = path.length === 0 ? null : at(answer, ...path)
  return typeof count === 'number' && Number.isFinite(count) ? count : null
}

function at(value: unknown, ...path: Path): unknown {
  let here = value
  for (const name of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, name)) return undefined
    here = (here as Readonly<Record<string | number, unknown>>)[name]
  }
  return here
}

/** The texts of a list of parts; undefined for what is none. */
function joined(parts: unknown): string | undefined {
  return Array.isArray(parts) && parts.length > 0 ? textOf(parts) : undefined
}

function withoutNulls(members: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null))
}
