/** Prompts for Llama 2 as texts with the marks that the model was trained with, for servers that know nothing of chats. */
import { apart, at, countAt, stringAt, withoutNulls } from './chat-form.ts'
import type { ChatForm, ChatOptions } from './chat-form.ts'
import { textOf } from './llm-request.ts'

export const llamaRaw: ChatForm = {
  takes: { images: false, tools: false, json: false },

  encode(messages, options) {
    const { system, rest } = apart(messages)
    let text = '<s>[INST] '
    if (system !== '') text += `<<SYS>>\n${unmarked(system)}\n<</SYS>>\n\n`
    rest.forEach(({ role, content }, index) => {
      const said = unmarked(textOf(content))
      if (role === 'assistant') text += ` [/INST] ${said} </s><s>[INST] `
      else text += index > 0 && rest[index - 1]!.role !== 'assistant' ? `\n${said}` : said
    })
    return { inputs: `${text} [/INST]`, parameters: settings(options) }
  },

  encodePrompt: (prompt, options) => ({
    inputs: `<s>[INST] ${unmarked(prompt)} [/INST]`,
    parameters: settings(options),
  }),

  decode(answer) {
    const [inList, inData] = [at(answer, 0), at(answer, 'data', 0)]
    const text = stringAt(inList ?? inData ?? answer, 'generated_text')
    if (text === null) return null
    return {
      // Servers that repeat the prompt put the answer behind its last mark.
      text: text.includes('[/INST]') ? text.slice(text.lastIndexOf('[/INST]') + '[/INST]'.length).trim() : text,
      promptTokens: countAt(answer, 'usage', 'prompt_tokens'),
      completionTokens: countAt(answer, 'usage', 'completion_tokens'),
      model: null,
      id: null,
      finish: 'stop',
      toolCalls: [],
    }
  },

  openEvents: null,
}

function settings({ max_tokens, temperature, top_p, top_k, stop }: ChatOptions): object {
  const given = withoutNulls({ max_new_tokens: max_tokens, temperature, top_p, top_k, stop })
  return { ...given, return_full_text: false }
}

/** Marks in what somebody says would let him speak as another; what is left when one is taken out may be one, too. */
function unmarked(text: string): string {
  let before = ''
  let rest = text
  while (rest !== before) {
    before = rest
    rest = rest.replace(MARKS, '')
  }
  return rest
}

const MARKS = /<\/?s>|\[\/?INST\]|<<\/?SYS>>/g
