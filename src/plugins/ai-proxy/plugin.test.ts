import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Exchange } from '#pdk'
import { fakeExchange, prepare, sentBody, type FakeExchangeOptions } from '#pdk/testing'
import { aiProxy } from './plugin.ts'

const KEY = 'sk-the-key'
const CHAT = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'hello' },
]
const bearer = { header_name: 'Authorization', header_value: `Bearer ${KEY}` }

function config(provider: string, more: object = {}, options: object = {}, name: string | null = 'm') {
  return { route_type: 'llm/v1/chat', auth: bearer, model: { provider, name, options }, ...more }
}

/** What becomes of a request: where it goes, with what; or what the client is told. */
async function ask(given: object, request: FakeExchangeOptions = {}) {
  const state = prepare(aiProxy, given)
  const exchange = fakeExchange({ method: 'POST', body: { messages: CHAT }, ...request })
  const origins: string[] = []
  exchange.chooser = { choose: (_kind, origin) => origins.push(origin) > 0, locate: () => null, repeat: () => false }
  const exit = await aiProxy.access!(exchange, state)
  const { upstream, request: sent } = exchange
  const url = `${origins[0] ?? ''}${upstream.path}${sent.query === null ? '' : `?${sent.query}`}`
  return {
    exchange,
    state,
    url,
    host: upstream.hostHeader,
    headers: { ...sent.headers.toObject() },
    body: exit === undefined ? (JSON.parse(sentBody(exchange) ?? 'null') as Record<string, unknown>) : null,
    refusal:
      exit === undefined ? null : [exit.status, (JSON.parse(String(exit.body)) as { error: Error }).error.message],
  }
}

const targets: readonly [given: object, url: string, body?: object][] = [
  [config('openai'), 'https://api.openai.com/v1/chat/completions'],
  [config('openai', {}, { upstream_path: '/x/y' }), 'https://api.openai.com/x/y'],
  [
    config('azure', {}, { azure_instance: 'i', azure_deployment_id: 'd e', azure_api_version: 'v' }),
    'https://i.openai.azure.com/openai/deployments/d%20e/chat/completions?api-version=v',
  ],
  [config('anthropic', {}, { anthropic_version: '2023-06-01' }), 'https://api.anthropic.com/v1/messages'],
  [config('cohere'), 'https://api.cohere.com/v1/chat'],
  [config('mistral', {}, { mistral_format: 'openai' }), 'https://api.mistral.ai/v1/chat/completions'],
  [config('gemini'), 'https://generativelanguage.googleapis.com/v1beta/models/m:generateContent'],
  [
    config('gemini', { response_streaming: 'always' }),
    'https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse',
  ],
  [
    config('llama2', {}, { llama2_format: 'ollama', upstream_url: 'http://llm.test:11434/api/chat?a=1' }),
    'http://llm.test:11434/api/chat?a=1',
  ],
  [
    config('openai', { auth: { param_name: 'key', param_value: KEY, param_location: 'query' } }),
    `https://api.openai.com/v1/chat/completions?key=${KEY}`,
  ],
]
for (const [given, url] of targets) {
  test(`sends a chat to ${url}`, async () => {
    const sent = await ask(given, {
      path: '/chat?from=client',
      headers: { Cookie: 'session=1', 'Accept-Encoding': 'br' },
    })
    assert.deepEqual(sent.refusal, null)
    assert.equal(sent.url, url)
    assert.equal(sent.host, new URL(url).host)
    assert.equal(sent.headers['cookie'], undefined)
    assert.equal(sent.headers['accept-encoding'], 'identity')
  })
}

const completions: readonly [given: object, path: string, body: object][] = [
  [config('openai'), '/v1/completions', { model: 'm', prompt: 'hello', stream: false }],
  [
    config('anthropic', {}, { anthropic_version: '2023-06-01' }),
    '/v1/complete',
    { prompt: '\n\nHuman: hello\n\nAssistant:', max_tokens_to_sample: 1024 },
  ],
  [config('cohere'), '/v1/generate', { prompt: 'hello', stream: false }],
  [
    config('llama2', {}, { llama2_format: 'raw', upstream_url: 'http://llm.test/raw' }),
    '/raw',
    { inputs: '<s>[INST] hello [/INST]' },
  ],
  [
    config('mistral', {}, { mistral_format: 'ollama', upstream_url: 'http://llm.test/api/generate' }),
    '/api/generate',
    { model: 'm', prompt: 'hello' },
  ],
]
for (const [given, path, body] of completions) {
  test(`sends a prompt to ${path}`, async () => {
    const sent = await ask({ ...given, route_type: 'llm/v1/completions' }, { body: { prompt: 'hello' } })
    assert.equal(sent.exchange.upstream.path, path)
    assert.partialDeepStrictEqual(sent.body, body)
  })
}

test("OpenAI's bodies go on byte by byte, but for what the configuration sets", async () => {
  const options = { max_tokens: 9, temperature: 0.5, top_p: 0.25 }
  const body =
    '{"seed":12345678901234567890,"messages":[{"role":"user","content":"x","n":1.0}],"top_k":3,"temperature":2}'
  const { exchange } = await ask(config('openai', {}, options), {
    body,
    headers: { 'Content-Type': 'application/json' },
  })
  assert.equal(
    sentBody(exchange),
    '{"seed":12345678901234567890,"messages":[{"role":"user","content":"x","n":1.0}],"temperature":0.5,"model":"m","stream":false,"max_tokens":9,"top_p":0.25}',
  )
  const newer = await ask(config('openai', {}, options), { body: { messages: CHAT, max_completion_tokens: 99 } })
  assert.deepEqual([newer.body!['max_tokens'], newer.body!['max_completion_tokens']], [undefined, 9])
})

test('what a client asks for reaches models in another form', async () => {
  const request = {
    messages: [
      ...CHAT,
      { role: 'assistant', content: null, tool_calls: [{ id: 't1', function: { name: 'f', arguments: '{"a":1}' } }] },
      { role: 'tool', tool_call_id: 't1', content: '21' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'see' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,QQ==' } },
        ],
      },
    ],
    max_completion_tokens: 5,
    temperature: 0.1,
    stop: 'END',
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
    tool_choice: 'required',
  }
  const anthropic = await ask(config('anthropic', {}, { anthropic_version: 'v', temperature: 0.9 }), { body: request })
  assert.deepEqual(anthropic.body, {
    model: 'm',
    system: 'Be brief.',
    messages: [
      { role: 'user', content: 'hello' },
      { role: 'assistant', content: [{ type: 'tool_use', id: 't1', name: 'f', input: { a: 1 } }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: '21' }] },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'see' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'QQ==' } },
        ],
      },
    ],
    max_tokens: 5,
    temperature: 0.9,
    stop_sequences: ['END'],
    tools: [{ name: 'f', input_schema: { type: 'object' } }],
    tool_choice: { type: 'any' },
  })
  const gemini = await ask(config('gemini'), { body: request })
  assert.partialDeepStrictEqual(gemini.body, {
    contents: [
      { role: 'user', parts: [{ text: 'hello' }] },
      { role: 'model', parts: [{ functionCall: { name: 'f', args: { a: 1 } } }] },
      { role: 'user', parts: [{ functionResponse: { name: 'f', response: { result: 21 } } }] },
      { role: 'user', parts: [{ text: 'see' }, { inlineData: { mimeType: 'image/png', data: 'QQ==' } }] },
    ],
    generationConfig: { maxOutputTokens: 5, temperature: 0.1, stopSequences: ['END'] },
    tools: [{ functionDeclarations: [{ name: 'f', parameters: { type: 'object' } }] }],
    toolConfig: { functionCallingConfig: { mode: 'ANY' } },
  })
})

test('an answer in JSON is asked for where the form has a place for that', async () => {
  const schema = { type: 'object', properties: { a: { type: 'integer' } } }
  const asked = async (given: object, format: object) =>
    (await ask(given, { body: { messages: CHAT, response_format: format } })).body!
  const named = { type: 'json_schema', json_schema: { name: 'x', schema } }
  assert.deepEqual((await asked(config('gemini'), named))['generationConfig'], {
    responseMimeType: 'application/json',
    responseJsonSchema: schema,
  })
  const ollama = config('llama2', {}, { llama2_format: 'ollama', upstream_url: 'http://llm.test/' })
  assert.deepEqual((await asked(ollama, named))['format'], schema)
  assert.equal((await asked(ollama, { type: 'json_object' }))['format'], 'json')
  assert.equal((await asked(ollama, { type: 'text' }))['format'], undefined)
  assert.deepEqual((await asked(config('openai'), named))['response_format'], named)
})

const streaming = (mode: string) => config('openai', { response_streaming: mode })
const BAD_BODY = 'content-type header does not match request body, or bad JSON formatting'
const cohere = config('cohere')
const image = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x.test/a.png' } }] }
const refused: readonly [given: object, request: FakeExchangeOptions, status: number, message: string][] = [
  [config('openai'), { body: 'x', headers: { 'Content-Type': 'text/plain' } }, 400, BAD_BODY],
  [config('openai'), { body: '{', headers: { 'Content-Type': 'application/json' } }, 400, BAD_BODY],
  [config('openai'), { body: {} }, 400, "request body doesn't contain valid prompts"],
  [config('openai'), { body: { messages: [] } }, 400, "request body doesn't contain valid prompts"],
  [config('openai'), { body: { messages: CHAT, prompt: 'x' } }, 400, 'request matches multiple LLM request formats'],
  [
    config('openai'),
    { body: { prompt: 'x' } },
    400,
    '[llm/v1/completions] message format is not compatible with [llm/v1/chat] route type',
  ],
  [config('openai'), { body: { messages: CHAT, model: 'other' } }, 400, 'cannot use own model - must be: m'],
  [config('openai', {}, {}, null), {}, 400, 'model parameter not found in request, nor in gateway configuration'],
  [
    streaming('deny'),
    { body: { messages: CHAT, stream: true } },
    400,
    'response streaming is not enabled for this LLM',
  ],
  [
    config('openai', { max_request_body_size: 10 }),
    {},
    413,
    'request body is larger than max_request_body_size (10 bytes)',
  ],
  [cohere, { body: { messages: CHAT, tools: [{}] } }, 400, 'tools: not available for this LLM'],
  [
    cohere,
    { body: { messages: CHAT, response_format: { type: 'json_object' } } },
    400,
    'response_format: not available for this LLM',
  ],
  [cohere, { body: { messages: CHAT, n: 2 } }, 400, 'n: only 1 is available for this LLM'],
  [cohere, { body: { messages: [image] } }, 400, 'messages[0].content: images are not available for this LLM'],
  [cohere, { body: { messages: CHAT, max_tokens: '9' } }, 400, 'max_tokens: expected a number'],
  [
    config('gemini'),
    { body: { messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] } },
    400,
    "messages[0].content: 'input_audio' is not available for this LLM",
  ],
]
for (const [given, request, status, message] of refused) {
  test(`refuses with ${status}: ${message}`, async () => {
    assert.deepEqual((await ask(given, request)).refusal, [status, message])
  })
}

test("the client's model is asked where the configuration has none", async () => {
  const own = { body: { messages: CHAT, model: 'mine/../x' } }
  assert.equal((await ask(config('openai', {}, {}, null), own)).body!['model'], 'mine/../x')
  const gemini = await ask(config('gemini', {}, {}, null), own)
  assert.equal(gemini.exchange.upstream.path, '/v1beta/models/mine%2F..%2Fx:generateContent')
})

test('requests may say parts of the model, and nothing of the server', async () => {
  const said = {
    azure_instance: 'i',
    azure_deployment_id: '$(uri_captures.deployment)',
    azure_api_version: '$(query_params.v)',
  }
  const given = config('azure', {}, said, '$(headers.x-model)-4')
  const request = {
    path: '/chat?v=1%262',
    headers: { 'X-Model': 'gpt' },
    captures: { named: { deployment: 'a/../b' }, unnamed: [] },
  }
  const sent = await ask(given, request)
  assert.equal(sent.url, 'https://i.openai.azure.com/openai/deployments/a%2F..%2Fb/chat/completions?api-version=1%262')
  assert.equal(sent.body!['model'], 'gpt-4')
  const without = await ask(given, { ...request, headers: {} })
  assert.deepEqual(without.refusal, [400, 'headers.x-model was not provided'])
  const path = config('openai', { route_type: 'preserve' }, { upstream_path: '/v1/$(uri_captures.rest)' })
  const at = async (rest: string) => {
    const exchange = fakeExchange({ captures: { named: { rest }, unnamed: [] } })
    const exit = await aiProxy.access!(exchange, prepare(aiProxy, path))
    return exit === undefined ? exchange.upstream.path : exit.status
  }
  assert.equal(await at('files/a b?c'), '/v1/files/a%20b%3Fc')
  assert.equal(await at('../admin'), 400)
})

test("the gateway's key is sent, and the client's own only where it may be", async () => {
  const headers = { Authorization: 'Bearer own' }
  const auth = { header_name: 'api-key', header_value: KEY }
  assert.equal((await ask(config('openai'), { headers })).headers['authorization'], `Bearer ${KEY}`)
  const azure = await ask(config('openai', { auth }), { headers })
  assert.deepEqual([azure.headers['api-key'], azure.headers['authorization']], [KEY, undefined])
  const own = await ask(config('openai', { auth: { ...bearer, allow_override: true } }), { headers })
  assert.equal(own.headers['authorization'], 'Bearer own')
  const none = await ask(config('openai', { auth: null }), { headers })
  assert.equal(none.headers['authorization'], 'Bearer own')
  const inBody = { param_name: 'key', param_value: KEY, param_location: 'body' }
  assert.equal((await ask(config('openai', { auth: inBody }))).body!['key'], KEY)
  assert.equal((await ask(config('cohere', { auth: inBody }))).body!['key'], KEY)
})

test('no log shows the key', async () => {
  const inQuery = { param_name: 'key', param_value: KEY, param_location: 'query' }
  const auth = { header_name: 'x-api-key', header_value: KEY, ...inQuery }
  const upstream_url = `https://llm.test/chat?token=${KEY}`
  const { exchange, state, url } = await ask(config('openai', { auth }, { upstream_url }), { path: '/x?own=1' })
  assert.equal(url, `https://llm.test/chat?token=${KEY}&key=${KEY}`)
  aiProxy.redact!(exchange, state)
  const shown = JSON.stringify([exchange.request.headers.toObject(), exchange.request.query, exchange.upstream.path])
  assert.ok(!shown.includes(KEY), shown)
  assert.ok(shown.includes('REDACTED'))
  assert.equal(exchange.request.query, 'own=1')
  const own = await ask(config('openai', { auth: { ...inQuery, allow_override: true } }), { path: '/x?key=own&a=1' })
  assert.equal(own.url, 'https://api.openai.com/v1/chat/completions?key=own')
  aiProxy.redact!(own.exchange, own.state)
  assert.equal(own.exchange.request.query, 'key=REDACTED&a=1')
})

test("OpenAI's answers need not be texts, and lists of functions may be empty", async () => {
  const { hold, exchange, state } = await answered(config('openai', { logging: { log_statistics: true } }), 200, {})
  const refusal = '{"choices":[{"message":{"content":null,"refusal":"No."}}],"usage":{"prompt_tokens":3}}'
  const said = await hold!.take(Buffer.from(refusal))
  assert.ok(Buffer.isBuffer(said))
  assert.equal(said.toString(), refusal)
  aiProxy.log!(exchange, state)
  assert.partialDeepStrictEqual(usage(exchange), { usage: { prompt_tokens: 3, completion_tokens: 0 } })
  const none = await answered(config('openai'), 200, {})
  assert.ok(!Buffer.isBuffer(await none.hold!.take(Buffer.from('{"choices":{}}'))))
  for (const tools of [null, []])
    assert.equal((await ask(config('cohere'), { body: { messages: CHAT, tools } })).refusal, null)
})

test('a request that is passed as it is only goes elsewhere', async () => {
  const auth = { param_name: 'key', param_value: KEY, param_location: 'query' }
  const given = config('openai', { route_type: 'preserve', auth }, { upstream_path: '/v1/embeddings' })
  const state = prepare(aiProxy, given)
  const exchange = fakeExchange({ method: 'GET', path: '/x?a=1&key=own', headers: { Cookie: 'a=1' } })
  assert.equal(await aiProxy.access!(exchange, state), undefined)
  assert.deepEqual([exchange.upstream.path, exchange.request.query], ['/v1/embeddings', `a=1&key=${KEY}`])
  assert.equal(exchange.request.headers.get('cookie'), 'a=1')
  exchange.upstreamStatus = 200
  assert.equal(aiProxy.responseHold!(exchange, state), null)
  assert.equal(aiProxy.responseBody!(exchange, state), null)
})

/** The exchange when the service has answered. */
async function answered(given: object, status: number, headers: Record<string, string>, request: object = {}) {
  const { exchange, state } = await ask(given, { body: { messages: CHAT, ...request }, response: { status, headers } })
  exchange.upstreamStatus = status
  exchange.totalLatencyMs = 500
  exchange.proxyLatencyMs = 100
  return { exchange, state, hold: aiProxy.responseHold!(exchange, state) }
}

function usage({ logFields }: Exchange): object {
  const { proxy } = (logFields as unknown as { ai: { proxy: { meta: object; usage: object; payload?: object } } }).ai
  return proxy
}

test('an answer is logged with its tokens, costs and texts, as far as that is wanted', async () => {
  const logging = { log_statistics: true, log_payloads: true }
  const given = config('cohere', { logging }, { input_cost: 10, output_cost: 20 })
  const { exchange, state, hold } = await answered(given, 200, {})
  const body = { text: 'hi', generation_id: 'g', meta: { billed_units: { input_tokens: 1000, output_tokens: 100 } } }
  const said = await hold!.take(Buffer.from(JSON.stringify(body)))
  assert.ok(Buffer.isBuffer(said))
  aiProxy.log!(exchange, state)
  assert.deepEqual(usage(exchange), {
    meta: {
      plugin_id: '00000000-0000-4000-8000-0000000000ff',
      provider_name: 'cohere',
      request_model: 'm',
      response_model: 'm',
      llm_latency: 400,
    },
    usage: { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100, cost: 0.012, time_per_token: 4 },
    payload: { request: JSON.stringify({ messages: CHAT }), response: said.toString() },
  })
  const quiet = await answered(config('cohere'), 200, {})
  aiProxy.log!(quiet.exchange, quiet.state)
  assert.equal(quiet.exchange.logFields, null)
})

test('tokens that a service does not count while it streams are estimated', async () => {
  const logging = { log_statistics: true }
  const given = config('mistral', { logging }, { mistral_format: 'openai' })
  const { exchange, state, hold } = await answered(given, 200, {}, { stream: true })
  assert.equal(hold, null)
  const stream = aiProxy.responseBody!(exchange, state)!
  stream.chunk(Buffer.from('data: {"choices":[{"delta":{"content":"five letters"}}]}\n\ndata: [DONE]\n\n'))
  aiProxy.log!(exchange, state)
  // Three words of the question by 1.8, and twelve letters by 4.
  assert.partialDeepStrictEqual(usage(exchange), { usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 } })
})

test("OpenAI is asked for the tokens of a stream where they are logged, and the client's own wish stays", async () => {
  const given = config('openai', { logging: { log_statistics: true } })
  const asked = async (request: object) =>
    (await ask(given, { body: { messages: CHAT, ...request } })).body!['stream_options']
  assert.deepEqual(await asked({ stream: true }), { include_usage: true })
  assert.deepEqual(await asked({ stream: true, stream_options: { include_usage: false } }), { include_usage: false })
  assert.equal(await asked({}), undefined)
})

test('compressed answers are undone, streamed ones too', async () => {
  const headers = { 'Content-Encoding': 'gzip' }
  const body = { text: 'hi' }
  const whole = await answered(config('cohere'), 200, headers)
  const said = await whole.hold!.take(gzipSync(JSON.stringify(body)))
  assert.ok(Buffer.isBuffer(said))
  assert.match(said.toString(), /"content":"hi"/)
  assert.equal(whole.exchange.response.headers.get('content-encoding'), null)
  const streamed = await answered(config('cohere'), 200, headers, { stream: true })
  const events = await streamed.hold!.take(gzipSync('{"event_type":"text-generation","text":"hi"}\n'))
  assert.ok(Buffer.isBuffer(events))
  assert.match(events.toString(), /^data: .*"content":"hi".*\n\ndata: \[DONE\]\n\n$/)
  assert.equal(aiProxy.responseBody!(streamed.exchange, streamed.state), null)
})

test('what can not be used of an answer is told, and once in the log', async () => {
  const warnings: object[] = []
  const { state, hold } = await answered(config('cohere'), 200, {})
  Object.assign(state.tools, { log: { ...state.tools.log, warn: (fields: object) => void warnings.push(fields) } })
  for (const body of ['not JSON', '{"message":"what"}']) {
    const exit = await hold!.take(Buffer.from(body))
    assert.ok(!Buffer.isBuffer(exit))
    assert.deepEqual(
      [exit.status, exit.body],
      [500, '{"error":{"message":"the answer of the AI service is in another form than expected"}}'],
    )
  }
  assert.equal(warnings.length, 1)
  assert.deepEqual([hold!.refuse('too_large').status, hold!.refuse('timeout').status], [502, 504])
})

test('errors of the service pass as they are', async () => {
  const { exchange, state, hold } = await answered(config('cohere'), 429, { 'Set-Cookie': 'a=1' }, { stream: true })
  assert.equal(hold, null)
  aiProxy.responseHeaders!(exchange, state)
  assert.equal(aiProxy.responseBody!(exchange, state), null)
  assert.deepEqual({ ...exchange.response.headers.toObject() }, { 'set-cookie': 'a=1' })
})

const invalid: readonly [given: object, field: string][] = [
  [config('bedrock', { auth: {} }), 'model.provider'],
  [config('huggingface'), 'model.provider'],
  [config('gemini', { auth: { gcp_use_service_account: true } }), 'auth.gcp_use_service_account'],
  [config('gemini', { route_type: 'llm/v1/completions', auth: {} }), 'route_type'],
  [config('mistral', { route_type: 'llm/v1/completions' }, { mistral_format: 'openai' }), 'route_type'],
  [config('mistral', {}, { mistral_format: 'ollama' }), 'model.options.upstream_url'],
  [config('openai', {}, { upstream_url: 'http://x.test/$(headers.x)' }), 'model.options.upstream_url'],
  [config('openai', {}, {}, '$(body.model)'), 'model.name'],
  [config('gemini', { llm_format: 'gemini', auth: {} }), 'llm_format'],
  [
    config('llama2', { response_streaming: 'always' }, { llama2_format: 'raw', upstream_url: 'http://llm.test/' }),
    'response_streaming',
  ],
  [
    config('openai', { route_type: 'preserve', auth: { param_name: 'k', param_value: 'v', param_location: 'body' } }),
    'auth.param_location',
  ],
]
for (const [given, field] of invalid) {
  test(`refuses ${field} of ${JSON.stringify(given)}`, () => {
    assert.throws(() => prepare(aiProxy, given), { code: 'CONFIG_INVALID', field })
  })
}
