/**
 * Models that ask for a function before they answer, each in its provider's form, whole and streamed: first for `weather` with a city,
 * then, told what it gave, they say it.
 */
import { startUpstream, type Upstream } from './upstream-server.ts'

// Bodies are what clients of many forms send.
// oxlint-disable-next-line typescript/no-explicit-any
type Any = any

interface Model {
  /** What the function gave; null before it was called. */
  readonly result: (body: Any) => string | null
  readonly call: (streamed: boolean) => unknown
  readonly say: (text: string, streamed: boolean) => unknown
  readonly isStreamed: (body: Any, path: string) => boolean
}

const CITY = { city: 'Oslo' }
const usage = { input_tokens: 5, output_tokens: 2 }

/** A list is a stream of events. */
const models: Readonly<Record<string, Model>> = {
  '/anthropic': {
    isStreamed: (body) => body.stream === true,
    result: (body) => {
      const [block] = body.messages.at(-1).content
      return block?.type === 'tool_result' && block.tool_use_id === 't1' ? block.content : null
    },
    call: (streamed) => {
      const start = { type: 'tool_use', id: 't1', name: 'weather', input: streamed ? {} : CITY }
      if (!streamed) return { type: 'message', id: 'm1', model: 'm', content: [start], stop_reason: 'tool_use', usage }
      return [
        { type: 'message_start', message: { id: 'm1', role: 'assistant', model: 'm', content: [], usage } },
        { type: 'content_block_start', index: 0, content_block: start },
        ...['{"ci', 'ty": "Oslo"}'].map((json) => ({
          type: 'content_block_delta',
          index: 0,
          delta: { type: 'input_json_delta', partial_json: json },
        })),
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 2 } },
        { type: 'message_stop' },
      ]
    },
    say: (text, streamed) => {
      const content = [{ type: 'text', text }]
      if (!streamed) return { type: 'message', id: 'm2', model: 'm', content, stop_reason: 'end_turn', usage }
      return [
        { type: 'message_start', message: { id: 'm2', role: 'assistant', model: 'm', content: [], usage } },
        { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
        { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } },
        { type: 'message_stop' },
      ]
    },
  },
  '/gemini': {
    isStreamed: (_body, path) => path.includes('stream'),
    result: (body) => body.contents.at(-1).parts[0].functionResponse?.response.result ?? null,
    call: (streamed) => {
      const parts = [{ functionCall: { name: 'weather', args: CITY } }]
      const answer = { candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP' }] }
      return streamed ? [answer] : answer
    },
    say: (text, streamed) => {
      const answer = { candidates: [{ content: { role: 'model', parts: [{ text }] }, finishReason: 'STOP' }] }
      return streamed ? [answer] : answer
    },
  },
  '/ollama': {
    isStreamed: (body) => body.stream === true,
    result: (body) => (body.messages.at(-1).role === 'tool' ? body.messages.at(-1).content : null),
    call: (streamed) => {
      const tool_calls = [{ function: { name: 'weather', arguments: CITY } }]
      const answer = { model: 'm', message: { role: 'assistant', content: '', tool_calls }, done: true }
      return streamed ? [answer] : answer
    },
    say: (text, streamed) => {
      const answer = { model: 'm', message: { role: 'assistant', content: text }, done: true, done_reason: 'stop' }
      return streamed ? [answer] : answer
    },
  },
}

export function startCallingModels(): Promise<Upstream> {
  return startUpstream(({ target, body }, response) => {
    const model = models[target.split('?')[0]!]!
    const asked: Any = JSON.parse(body.toString('utf8'))
    const streamed = model.isStreamed(asked, target)
    const result = model.result(asked)
    const answer = result === null ? model.call(streamed) : model.say(`It is ${result}.`, streamed)
    if (!Array.isArray(answer)) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(answer.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''))
  })
}
