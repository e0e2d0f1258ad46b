/** ai-proxy on a real gateway, before servers that speak the form of each provider: every client speaks OpenAI's. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask } from '../support/ask.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startModelServices, type ModelServices } from '../support/model-services.ts'

const KEY = 'sk-the-key'
const bearer = { header_name: 'Authorization', header_value: `Bearer ${KEY}` }
const inQuery = { param_name: 'key', param_value: KEY, param_location: 'query' }
const inBody = { param_name: 'key', param_value: KEY, param_location: 'body' }
const anthropicKey = { header_name: 'x-api-key', header_value: KEY }

/** Where it is asked, as whom, how, and what the model is called in its answers. */
const PROVIDERS: readonly [at: string, provider: string, options: object, auth: object, answers: string][] = [
  ['/openai', 'openai', {}, bearer, 'm-2026'],
  ['/openai', 'azure', { azure_instance: 'a', azure_deployment_id: 'd' }, inBody, 'm-2026'],
  ['/openai', 'mistral', { mistral_format: 'openai' }, bearer, 'm-2026'],
  ['/openai', 'llama2', { llama2_format: 'openai' }, bearer, 'm-2026'],
  ['/anthropic', 'anthropic', { anthropic_version: '2023-06-01' }, anthropicKey, 'm'],
  ['/cohere', 'cohere', {}, bearer, 'm'],
  ['/gemini', 'gemini', {}, inQuery, 'm-001'],
  ['/gemini-list', 'gemini', {}, inQuery, 'm-001'],
  ['/ollama', 'mistral', { mistral_format: 'ollama' }, bearer, 'm'],
  ['/ollama', 'llama2', { llama2_format: 'ollama' }, bearer, 'm'],
]

let model: ModelServices
let gateway: Gateway | undefined
before(async () => {
  model = await startModelServices(KEY)
  gateway = await startGateway({ declarative: declarative() })
})
after(async () => {
  await gateway?.stop()
  await model.close()
})

function proxy(at: string, provider: string, options: object, auth: object | null, more: object = {}) {
  return {
    name: 'ai-proxy',
    config: {
      route_type: 'llm/v1/chat',
      auth,
      logging: { log_statistics: true, log_payloads: true },
      model: {
        provider,
        name: 'm',
        options: { ...options, input_cost: 10, output_cost: 20, upstream_url: `http://127.0.0.1:${model.port}${at}` },
      },
      ...more,
    },
  }
}

function declarative(): object {
  const streamed = (at: string) => (at.startsWith('/gemini') ? `${at}?stream=1` : at)
  const routes = {
    ...Object.fromEntries(PROVIDERS.map(([at, who, how, key], n) => [`/p${n}`, [proxy(at, who, how, key)]])),
    ...Object.fromEntries(PROVIDERS.map(([at, who, how, key], n) => [`/s${n}`, [proxy(streamed(at), who, how, key)]])),
    '/raw': [proxy('/raw', 'llama2', { llama2_format: 'raw' }, bearer)],
  }
  return {
    _format_version: '3.0',
    services: [
      {
        url: 'http://127.0.0.1:1',
        plugins: [{ name: 'http-log', config: { http_endpoint: `http://127.0.0.1:${model.port}/log` } }],
        routes: Object.entries(routes).map(([path, plugins]) => ({ paths: [path], plugins })),
      },
    ],
  }
}

const CHAT = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'a gráve word' },
]
const SAID = 'A GRÁVE WORD'

test('every provider answers a chat in the form of OpenAI', async () => {
  for (const [index, [at, provider, , , answers]] of PROVIDERS.entries()) {
    const body = { messages: CHAT, model: 'm' }
    const { status, json, headers } = await ask(`${gateway!.proxyUrl}/p${index}`, { method: 'POST', body })
    assert.equal(status, 200, `${provider} as ${at}: ${JSON.stringify(json)}`)
    assert.partialDeepStrictEqual(json, {
      object: 'chat.completion',
      model: answers,
      choices: [{ index: 0, message: { role: 'assistant', content: SAID }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    })
    assert.equal(headers['x-kong-llm-model'], `${provider}/m`)
    assert.equal(headers['set-cookie'], undefined)
    assert.equal(headers['content-type'], 'application/json')
  }
})

test('every provider answers a stream in the form of OpenAI', async () => {
  for (const [index, [at, provider]] of PROVIDERS.entries()) {
    const body = { messages: CHAT, stream: true }
    const { status, text, headers } = await ask(`${gateway!.proxyUrl}/s${index}`, { method: 'POST', body })
    const who = `${provider} as ${at}: ${text}`
    assert.equal(status, 200, who)
    assert.equal(headers['content-type'], 'text/event-stream', who)
    const events = text.split('\n\n').filter((event) => event !== '')
    assert.equal(events.pop(), 'data: [DONE]', who)
    const chunks = events.map((event) => JSON.parse(event.slice('data: '.length)))
    assert.ok(chunks.length >= 4, who)
    assert.ok(
      chunks.every(({ object }) => object === 'chat.completion.chunk'),
      who,
    )
    assert.equal(chunks[0].choices[0].delta.role, 'assistant', who)
    assert.equal(chunks.map(({ choices }) => choices[0].delta.content ?? '').join(''), SAID, who)
    assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop', who)
  }
})
