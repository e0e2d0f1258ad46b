/**
 * Servers of language models inside the test process: one for each form in which providers are asked, at a path of its own, whole and
 * streamed. Each answers the last user's text in upper case, word by word, to a request that has its form exactly.
 */
import { startUpstream, type ReceivedRequest, type Upstream } from './upstream-server.ts'

type Json = Readonly<Record<string, unknown>>
type Words = readonly string[]

interface Service {
  /** The text that is to be answered; null for a request in another form. */
  readonly asked: (body: Json, request: ReceivedRequest) => string | null
  readonly whole: (words: Words, body: Json) => object
  readonly stream: (words: Words, body: Json) => { readonly type: string; readonly text: string }
}

const sse = (events: readonly object[], last = '') => ({
  type: 'text/event-stream',
  text: events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('') + last,
})
const lines = (events: readonly object[]) => ({
  type: 'application/x-ndjson',
  text: events.map((event) => `${JSON.stringify(event)}\n`).join(''),
})

function lastUser(messages: unknown): string | null {
  const last = (messages as { role?: unknown; content?: unknown }[] | undefined)?.at(-1)
  return last?.role === 'user' && typeof last.content === 'string' ? last.content : null
}

const isStream = ({ stream }: Json) => stream === true

export const services: Readonly<Record<string, Service>> = {
  '/openai': {
    asked: ({ messages }) => lastUser(messages),
    whole: (words, { model }) => ({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: `${String(model)}-2026`,
      choices: [{ index: 0, message: { role: 'assistant', content: words.join(' ') }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: words.length, total_tokens: 7 + words.length },
    }),
    stream: (words, { model, stream_options: options }) => {
      const chunk = (choices: object[], usage: object | null = null) => ({
        id: 'chatcmpl-1',
        object: 'chat.completion.chunk',
        created: 1,
        model: `${String(model)}-2026`,
        choices,
        ...(options !== undefined && { usage }),
      })
      return sse(
        [
          chunk([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]),
          ...spaced(words).map((content) => chunk([{ index: 0, delta: { content }, finish_reason: null }])),
          chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]),
          ...(options === undefined
            ? []
            : [chunk([], { prompt_tokens: 7, completion_tokens: words.length, total_tokens: 7 + words.length })]),
        ],
        'data: [DONE]\n\n',
      )
    },
  },
  '/completions': {
    asked: ({ prompt }) => (typeof prompt === 'string' ? prompt : null),
    whole: (words, { model }) => ({
      id: 'cmpl-1',
      object: 'text_completion',
      created: 1,
      model,
      choices: [{ index: 0, text: words.join(' '), finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: words.length, total_tokens: 7 + words.length },
    }),
    stream: (words, { model }) =>
      sse(
        spaced(words).map((text) => ({
          id: 'cmpl-1',
          object: 'text_completion',
          created: 1,
          model,
          choices: [{ index: 0, text, finish_reason: null }],
        })),
        'data: [DONE]\n\n',
      ),
  },
  '/anthropic': {
    asked: ({ system, messages, max_tokens: most }, { headers }) =>
      typeof system === 'string' &&
      typeof most === 'number' &&
      /^\d{4}-\d\d-\d\d$/.test(headers['anthropic-version'] ?? '')
        ? lastUser(messages)
        : null,
    whole: (words, { model }) => ({
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model,
      content: [{ type: 'text', text: words.join(' ') }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 7, output_tokens: words.length },
    }),
    stream: (words, { model }) => {
      const usage = { input_tokens: 7, output_tokens: 1 }
      const events: object[] = [
        {
          type: 'message_start',
          message: { id: 'msg_1', type: 'message', role: 'assistant', model, usage, content: [] },
        },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        { type: 'ping' },
        ...spaced(words).map((text) => ({
          type: 'content_block_delta',
          index: 0,
          delta: { type: 'text_delta', text },
        })),
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: words.length } },
        { type: 'message_stop' },
      ]
      const text = events
        .map((event) => `event: ${(event as { type: string }).type}\ndata: ${JSON.stringify(event)}\n\n`)
        .join('')
      return { type: 'text/event-stream', text }
    },
  },
  '/cohere': {
    asked: ({ preamble, message }) => (typeof preamble === 'string' && typeof message === 'string' ? message : null),
    whole: (words) => ({
      generation_id: 'g1',
      text: words.join(' '),
      finish_reason: 'COMPLETE',
      meta: { billed_units: { input_tokens: 7, output_tokens: words.length } },
    }),
    stream: (words) => ({
      ...lines([
        { is_finished: false, event_type: 'stream-start', generation_id: 'g1' },
        ...spaced(words).map((text) => ({ is_finished: false, event_type: 'text-generation', text })),
        {
          is_finished: true,
          event_type: 'stream-end',
          finish_reason: 'COMPLETE',
          response: { meta: { billed_units: { input_tokens: 7, output_tokens: words.length } } },
        },
      ]),
      type: 'application/stream+json',
    }),
  },
  '/gemini': geminiService('sse'),
  '/gemini-list': geminiService('list'),
  '/ollama': {
    asked: ({ messages, stream }) => (typeof stream === 'boolean' ? lastUser(messages) : null),
    whole: (words, { model }) => ({ ...ollamaEvent(words.join(' '), model), ...ollamaEnd(words) }),
    stream: (words, { model }) =>
      lines([
        ...spaced(words).map((content) => ({ ...ollamaEvent(content, model), done: false })),
        { ...ollamaEvent('', model), ...ollamaEnd(words) },
      ]),
  },
  '/slow': { asked: ({ messages }) => lastUser(messages), whole: () => ({}), stream: () => sse([]) },
  '/raw': {
    asked: ({ inputs }) => /\n([^\n]*) \[\/INST\]$/.exec(String(inputs))?.[1] ?? null,
    whole: (words) => [{ generated_text: words.join(' ') }],
    stream: () => ({ type: 'text/plain', text: '' }),
  },
}

/** Where providers have them, which their own clients ask. */
const PLACES: Readonly<Record<string, string>> = {
  '/v1/chat/completions': '/openai',
  '/v1/messages': '/anthropic',
  '/v1/chat': '/cohere',
  '/v1/models/m:generateContent': '/gemini',
  '/v1/models/m:streamGenerateContent': '/gemini',
  '/api/chat': '/ollama',
}

function geminiService(form: 'sse' | 'list'): Service {
  const answer = (text: string, more: object = {}, usage: object = {}) => ({
    candidates: [{ content: { role: 'model', parts: [{ text }] }, ...more }],
    usageMetadata: { promptTokenCount: 7, ...usage },
    modelVersion: 'm-001',
  })
  return {
    asked: ({ systemInstruction, contents }) => {
      const last = (contents as { role?: string; parts?: { text?: string }[] }[] | undefined)?.at(-1)
      return systemInstruction !== undefined && last?.role === 'user' ? (last.parts?.[0]?.text ?? null) : null
    },
    whole: (words) => answer(words.join(' '), { finishReason: 'STOP' }, { candidatesTokenCount: words.length }),
    stream: (words) => {
      const events = spaced(words).map((text, index) =>
        index < words.length - 1
          ? answer(text)
          : answer(text, { finishReason: 'STOP' }, { candidatesTokenCount: words.length }),
      )
      if (form === 'sse') return { ...sse(events), text: sse(events).text.replaceAll('\n', '\r\n') }
      return { type: 'application/json', text: JSON.stringify(events, null, 2) }
    },
  }
}

const ollamaEvent = (content: string, model: unknown) => ({ model, message: { role: 'assistant', content } })
const ollamaEnd = (words: Words) => ({
  done: true,
  done_reason: 'stop',
  prompt_eval_count: 7,
  eval_count: words.length,
})

/** All but the first with a space before. */
function spaced(words: Words): string[] {
  return words.map((word, index) => (index === 0 ? word : ` ${word}`))
}

export interface ModelServices extends Upstream {
  /** Lets `/slow`, which streams without end, make its next event. */
  release(): void
}

/** So many bytes of a stream are written at once. */
const PIECE_BYTES = 7

/** 401 without the key that all services want, 400 for another form, 404 for a service that there is not. */
export async function startModelServices(key: string): Promise<ModelServices> {
  let makeNext: () => void = () => undefined
  const upstream = await startUpstream((request, response) => {
    const url = new URL(request.target, 'http://model.test')
    const service = services[PLACES[url.pathname] ?? url.pathname]
    const body = JSON.parse(request.body.toString('utf8')) as Json
    const shown = [
      request.headers['authorization']?.replace('Bearer ', ''),
      request.headers['x-api-key'],
      request.headers['x-goog-api-key'],
      url.searchParams.get('key'),
      body['key'],
    ]
    const text = service?.asked(body, request) ?? null
    const status = !shown.includes(key) ? 401 : service === undefined ? 404 : text === null ? 400 : 200
    if (status !== 200) {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: { message: `refused with ${status}` } }))
      return
    }
    if (url.pathname === '/slow') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let count = 0
      makeNext = () => {
        const choices = [{ index: 0, delta: { content: `event ${count++}` }, finish_reason: null }]
        response.write(`data: ${JSON.stringify({ choices })}\n\n`)
      }
      makeNext()
      return
    }
    const words = text!.toUpperCase().split(' ')
    // Gemini is told by the place that is asked.
    if (isStream(body) || url.searchParams.get('alt') === 'sse' || url.searchParams.has('stream')) {
      const { type, text: streamed } = service!.stream(words, body)
      response.writeHead(200, { 'content-type': type, 'set-cookie': 'provider=1' })
      const bytes = Buffer.from(streamed)
      const next = (at: number): void => {
        if (at >= bytes.length) return void response.end()
        response.write(bytes.subarray(at, at + PIECE_BYTES), () => next(at + PIECE_BYTES))
      }
      next(0)
      return
    }
    response.writeHead(200, { 'content-type': 'application/json', 'set-cookie': 'provider=1' })
    response.end(JSON.stringify(service!.whole(words, body)))
  })
  return { ...upstream, release: () => makeNext() }
}
