/** A server that speaks the chat forms of several services, each at a path of its own, and answers the user's text in upper case. */
import { startUpstream, type ReceivedRequest, type Upstream } from './upstream-server.ts'

type Json = Readonly<Record<string, unknown>>

interface Message {
  readonly role: string
  readonly content: string
}

/** What each service answers to a body that has its form; null for one that has not. */
const SERVICES: Readonly<Record<string, (body: Json, request: ReceivedRequest) => object | null>> = {
  '/openai': ({ model, messages }) => {
    const [system, user] = (messages ?? []) as readonly Message[]
    if (system?.role !== 'system' || user?.role !== 'user') return null
    return {
      id: 'chat-1',
      object: 'chat.completion',
      model,
      choices: [{ index: 0, message: { role: 'assistant', content: told(user.content) }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    }
  },
  '/anthropic': ({ model, system, messages, max_tokens: bound }, { headers }) => {
    const [user, ...more] = (messages ?? []) as readonly Message[]
    const isComplete =
      typeof system === 'string' && typeof bound === 'number' && headers['anthropic-version'] === '2023-06-01'
    if (!isComplete || user?.role !== 'user' || more.length > 0) return null
    return {
      type: 'message',
      role: 'assistant',
      model,
      content: [{ type: 'text', text: told(user.content) }],
      usage: { input_tokens: 7, output_tokens: 3 },
    }
  },
  '/cohere': ({ preamble, message, chat_history: history }) =>
    typeof preamble === 'string' && typeof message === 'string' && history === undefined
      ? { text: told(message), meta: { billed_units: { input_tokens: 7, output_tokens: 3 } } }
      : null,
  '/gemini': ({ systemInstruction, contents }) => {
    const [turn] = (contents ?? []) as readonly { role: string; parts: readonly { text: string }[] }[]
    if (systemInstruction === undefined || turn?.role !== 'user') return null
    return {
      candidates: [{ content: { role: 'model', parts: [{ text: told(turn.parts[0]!.text) }] } }],
      usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 3 },
    }
  },
  '/ollama': ({ model, messages, stream }) => {
    const user = ((messages ?? []) as readonly Message[])[1]
    return stream === false && user?.role === 'user'
      ? {
          model,
          message: { role: 'assistant', content: told(user.content) },
          done: true,
          prompt_eval_count: 7,
          eval_count: 3,
        }
      : null
  },
  '/raw': ({ inputs }) => {
    const found = /^<s>\[INST\] <<SYS>>\n.+\n<<\/SYS>>\n\n([^]*) \[\/INST\]$/.exec(String(inputs))
    return found === null ? null : [{ generated_text: told(found[1]!) }]
  },
}

function told(text: string): string {
  return `Here it is: ${text.toUpperCase()}!`
}

/** 401 without the key that all services want, 400 for another form, 404 for a service that there is not. */
export function startLanguageModel(key: string): Promise<Upstream> {
  return startUpstream((request, response) => {
    const service = SERVICES[request.target.split('?')[0]!]
    const isKnown = [
      request.headers['authorization'],
      request.headers['x-api-key'],
      request.target.split('key=')[1],
    ].some((shown) => shown?.replace('Bearer ', '') === key)
    const answer = service?.(JSON.parse(request.body.toString()) as Json, request)
    const status = !isKnown ? 401 : service === undefined ? 404 : answer === null ? 400 : 200
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(status === 200 ? answer : { error: { message: `a key like ${key.slice(0, 3)}…` } }))
  })
}
