import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anthropic } from '../ai/anthropic-form.ts'
import type { ChatForm } from '../ai/chat-form.ts'
import { cohere } from '../ai/cohere-form.ts'
import { gemini } from '../ai/gemini-form.ts'
import { ollama } from '../ai/ollama-form.ts'
import { openai } from '../ai/openai-form.ts'
import { AnswerStream, type AnswerStreamOptions } from './answer-stream.ts'
import { Tally } from './tally.ts'

const FRAME = { isChat: true, id: 'chatcmpl-x', created: 1, model: 'm' }

interface Piece {
  readonly id?: string
  readonly error?: { readonly message: string }
  readonly usage?: object
  readonly choices?: readonly {
    readonly delta?: { readonly role?: string; readonly content?: string; readonly tool_calls?: readonly object[] }
    readonly text?: string
    readonly finish_reason: string | null
  }[]
}

function translate(
  form: ChatForm,
  stream: string,
  cuts: readonly number[] = [],
  more: Partial<AnswerStreamOptions> = {},
) {
  const tally = new Tally(true)
  const isOpenai = form === openai
  const answer = new AnswerStream({ form, frame: FRAME, tally, tellsUsage: false, isOpenai, ...more })
  const bytes = Buffer.from(stream)
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  let out = ''
  for (let i = 1; i < places.length; i++)
    out += answer.chunk(Buffer.from(bytes.subarray(places[i - 1], places[i])))?.toString('utf8') ?? ''
  out += answer.end()?.toString('utf8') ?? ''
  const events = out.split('\n\n').slice(0, -1)
  const isDone = events.at(-1) === 'data: [DONE]'
  const pieces = (isDone ? events.slice(0, -1) : events).map((event) => JSON.parse(event.slice(6)) as Piece)
  return { out, pieces, isDone, tally, text: pieces.map(({ choices }) => choices?.[0]?.delta?.content ?? '').join('') }
}

const sse = (events: readonly object[]) => events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')

/** How each service streams these words. */
const streams: readonly [name: string, form: ChatForm, of: (words: readonly string[]) => string][] = [
  [
    'openai',
    openai,
    (words) =>
      sse([
        { choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] },
        ...words.map((content) => ({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })),
        { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
        { choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } },
      ]) + 'data: [DONE]\n\n',
  ],
  [
    'anthropic',
    anthropic,
    (words) =>
      sse([
        { type: 'message_start', message: { id: 'x', usage: { input_tokens: 7, output_tokens: 1 } } },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        ...words.map((text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 3 } },
        { type: 'message_stop' },
      ]),
  ],
  [
    'cohere',
    cohere,
    (words) =>
      [
        { event_type: 'stream-start', generation_id: 'x' },
        ...words.map((text) => ({ event_type: 'text-generation', text })),
        {
          event_type: 'stream-end',
          finish_reason: 'COMPLETE',
          response: { meta: { billed_units: { input_tokens: 7, output_tokens: 3 } } },
        },
      ]
        .map((event) => `${JSON.stringify(event)}\n`)
        .join(''),
  ],
  ['gemini', gemini, (words) => sse(geminiEvents(words))],
  ['gemini, as a list', gemini, (words) => JSON.stringify(geminiEvents(words), null, 2)],
  [
    'ollama',
    ollama,
    (words) =>
      [
        ...words.map((content) => ({ message: { role: 'assistant', content }, done: false })),
        { message: { content: '' }, done: true, done_reason: 'stop', prompt_eval_count: 7, eval_count: 3 },
      ]
        .map((event) => `${JSON.stringify(event)}\n`)
        .join(''),
  ],
]

function geminiEvents(words: readonly string[]): object[] {
  const usageMetadata = { promptTokenCount: 7, candidatesTokenCount: 3 }
  return [
    ...words.map((text) => ({ candidates: [{ content: { role: 'model', parts: [{ text }] } }] })),
    { candidates: [{ finishReason: 'STOP' }], usageMetadata },
  ]
}

for (const [name, form, of] of streams) {
  test(`a stream of ${name} becomes OpenAI's, in whatever pieces it comes`, () => {
    const words = fc.array(fc.string({ unit: 'binary', minLength: 1 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(words, fc.array(fc.nat(), { maxLength: 12 }), (said, cuts) => {
        // Half of a pair is no text that could be sent.
        const spoken = said.map((word) => word.toWellFormed())
        const { pieces, isDone, text, tally } = translate(form, of(spoken), cuts)
        assert.equal(text, spoken.join(''))
        assert.equal(isDone, true)
        assert.equal(pieces[0]!.choices![0]!.delta!.role ?? 'assistant', 'assistant')
        const finishes = pieces.map(({ choices }) => choices![0]!.finish_reason).filter((reason) => reason !== null)
        assert.deepEqual(finishes, ['stop'])
        assert.deepEqual([tally.promptTokens, tally.completionTokens, tally.text], [7, 3, spoken.join('')])
      }),
      { numRuns: 30 },
    )
  })
}

test('an event goes on as soon as its last byte is there', () => {
  const tally = new Tally(false)
  const stream = new AnswerStream({ form: anthropic, frame: FRAME, tally, tellsUsage: false, isOpenai: false })
  const event = Buffer.from(sse([{ type: 'content_block_delta', delta: { text: 'x' } }]))
  assert.equal(stream.chunk(event.subarray(0, -1)), null)
  assert.match(String(stream.chunk(event.subarray(-1))), /"content":"x"/)
})

test('tokens are told to the clients that ask for them', () => {
  for (const [name, form, of] of streams) {
    const { pieces } = translate(form, of(['a']), [], { tellsUsage: true })
    assert.partialDeepStrictEqual(
      pieces.at(-1),
      { choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } },
      name,
    )
    assert.ok(!translate(form, of(['a'])).out.includes('prompt_tokens'), name)
  }
})

test("OpenAI's events go on byte by byte", () => {
  const event = '{"choices": [ {"delta":{"content":"x","new":1.0}} ], "big": 12345678901234567890}'
  assert.equal(translate(openai, `data: ${event}\n\ndata: [DONE]\n\n`).out, `data: ${event}\n\ndata: [DONE]\n\n`)
})

test('functions that a model asks for', () => {
  const call = (index: number, partial: string) => ({
    type: 'content_block_delta',
    index,
    delta: { type: 'input_json_delta', partial_json: partial },
  })
  const start = (index: number, id: string, name: string) => ({
    type: 'content_block_start',
    index,
    content_block: { type: 'tool_use', id, name, input: {} },
  })
  const { pieces } = translate(
    anthropic,
    sse([
      { type: 'message_start', message: { id: 'x' } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      start(1, 't1', 'weather'),
      call(1, '{"a"'),
      call(1, ':1}'),
      start(2, 't2', 'time'),
      { type: 'message_delta', delta: { stop_reason: 'tool_use' } },
      { type: 'message_stop' },
    ]),
  )
  assert.deepEqual(
    pieces.flatMap(({ choices }) => choices![0]!.delta!.tool_calls ?? []),
    [
      { index: 0, id: 't1', type: 'function', function: { name: 'weather', arguments: '' } },
      { index: 0, function: { arguments: '{"a"' } },
      { index: 0, function: { arguments: ':1}' } },
      { index: 1, id: 't2', type: 'function', function: { name: 'time', arguments: '' } },
    ],
  )
  assert.equal(pieces.at(-1)!.choices![0]!.finish_reason, 'tool_calls')
  const asked = {
    candidates: [{ content: { parts: [{ functionCall: { name: 'f', args: { a: 1 } } }] }, finishReason: 'STOP' }],
  }
  assert.partialDeepStrictEqual(translate(gemini, sse([asked])).pieces, [
    { choices: [{ delta: { tool_calls: [{ index: 0, function: { name: 'f', arguments: '{"a":1}' } }] } }] },
    { choices: [{ finish_reason: 'tool_calls' }] },
  ])
})

test('what goes wrong within a stream is told in it, and ends it', () => {
  const broken: readonly [form: ChatForm, stream: string, message: string][] = [
    [anthropic, sse([{ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }]), 'Overloaded'],
    [ollama, '{"error":"no memory"}\n', 'no memory'],
    [gemini, sse([{ error: { code: 429, message: 'quota' } }]), 'quota'],
    [openai, sse([{ error: { message: 'too many', type: 'x' } }]), 'too many'],
    [cohere, '{"event_type":"stream-end","finish_reason":"ERROR"}', 'the answer ended by ERROR'],
    [anthropic, 'data: {"type"\n\n', 'an event of the AI service is not JSON'],
    [anthropic, `data: ${'x'.repeat(200)}\n\n`, 'an event of the AI service is too long'],
  ]
  for (const [form, stream, message] of broken) {
    const { pieces, isDone } = translate(form, stream + sse([{ type: 'message_stop' }]), [], { eventBytesMax: 150 })
    assert.deepEqual(
      pieces.map(({ error }) => error?.message),
      [message],
    )
    assert.equal(isDone, false)
  }
})

test('a service that does not stream is answered for at once', () => {
  const answer = { type: 'message', content: [{ type: 'text', text: 'all of it' }], usage: { output_tokens: 3 } }
  const { text, pieces, isDone } = translate(anthropic, JSON.stringify(answer))
  assert.equal(text, 'all of it')
  assert.equal(pieces.at(-1)!.choices![0]!.finish_reason, 'stop')
  assert.equal(isDone, true)
  const openaiAnswer = { choices: [{ message: { role: 'assistant', content: 'all' }, finish_reason: 'length' }] }
  assert.equal(translate(openai, JSON.stringify(openaiAnswer)).text, 'all')
})

test('completions have texts in place of messages', () => {
  const frame = { ...FRAME, isChat: false }
  const { pieces, isDone } = translate(cohere, '{"event_type":"text-generation","text":"x"}', [], { frame })
  assert.partialDeepStrictEqual(pieces, [{ object: 'text_completion', choices: [{ text: 'x', finish_reason: null }] }])
  assert.equal(isDone, true)
})
