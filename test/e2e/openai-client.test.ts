/** OpenAI's own client before ai-proxy: what it takes for an answer is one, whichever model gave it. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { startCallingModels } from '../support/calling-models.ts'
import { startGateway } from '../support/gateway.ts'
import { startModelServices } from '../support/model-services.ts'
import { requirePart } from '../support/parts.ts'

interface Completion {
  readonly model: string
  readonly choices: { readonly message: { readonly content: string }; readonly finish_reason: string }[]
  readonly usage?: { readonly total_tokens: number }
}
interface Runner {
  on(event: 'content', told: (delta: string) => void): Runner
  finalContent(): Promise<string>
  finalChatCompletion(): Promise<Completion>
}
interface Client {
  readonly chat: {
    readonly completions: {
      create(body: object): Promise<Completion>
      stream(body: object): Runner
      runTools(body: object): Runner
    }
  }
  readonly completions: {
    create(body: object): Promise<AsyncIterable<{ readonly choices: { readonly text: string }[] }>>
  }
}
interface Sdk {
  readonly default: new (options: object) => Client
  readonly APIError: new () => Error & { readonly status: number }
}

const KEY = 'sk-the-key'
const bearer = { header_name: 'Authorization', header_value: `Bearer ${KEY}` }
const FORMS: readonly [at: string, provider: string, options: object][] = [
  ['/openai', 'openai', {}],
  ['/anthropic', 'anthropic', { anthropic_version: '2023-06-01' }],
  ['/cohere', 'cohere', {}],
  ['/gemini', 'gemini', {}],
  ['/ollama', 'llama2', { llama2_format: 'ollama' }],
]

test("OpenAI's client takes every provider for OpenAI's", async (t) => {
  const folder = await requirePart(t, 'openai-client')
  if (folder === null) return
  const sdk = (await import(pathToFileURL(path.join(folder, 'index.mjs')).href)) as Sdk
  await using services = await startModelServices(KEY)
  await using calling = await startCallingModels()
  const proxy = (port: number, at: string, provider: string, options: object, more: object = {}) => ({
    name: 'ai-proxy',
    config: {
      route_type: 'llm/v1/chat',
      auth: bearer,
      model: { provider, name: 'm', options: { ...options, upstream_url: `http://127.0.0.1:${port}${at}` } },
      ...more,
    },
  })
  // Gemini says by the place that is asked whether it streams.
  const streamed = (at: string) => (at === '/gemini' ? `${at}?stream=1` : at)
  const routes = [
    ...FORMS.map(([at, ...rest]) => ({ paths: [at], plugins: [proxy(services.port, at, ...rest)] })),
    ...FORMS.map(([at, ...rest]) => ({ paths: [`/s${at}`], plugins: [proxy(services.port, streamed(at), ...rest)] })),
    ...FORMS.map(([at, ...rest]) => ({ paths: [`/c${at}`], plugins: [proxy(calling.port, at, ...rest)] })),
    ...FORMS.map(([at, ...rest]) => ({ paths: [`/cs${at}`], plugins: [proxy(calling.port, streamed(at), ...rest)] })),
    {
      paths: ['/prompts'],
      plugins: [proxy(services.port, '/completions', 'openai', {}, { route_type: 'llm/v1/completions' })],
    },
  ]
  await using gateway = await startGateway({
    declarative: { _format_version: '3.0', services: [{ url: 'http://127.0.0.1:1', routes }] },
  })
  // A client sends its path behind the base; the key is the gateway's affair.
  const clientOf = (base: string) =>
    new sdk.default({ apiKey: 'none', baseURL: gateway.proxyUrl + base, maxRetries: 0 })
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'some quiet words' },
  ]

  for (const [at, provider] of FORMS) {
    await t.test(`${provider}: a whole answer, and a stream with its tokens`, async () => {
      const whole = await clientOf(at).chat.completions.create({ model: 'm', messages })
      assert.equal(whole.choices[0]!.message.content, 'SOME QUIET WORDS')
      assert.equal(whole.choices[0]!.finish_reason, 'stop')
      assert.equal(whole.usage!.total_tokens, 10)
      const deltas: string[] = []
      const stream_options = { include_usage: true }
      const stream = clientOf(`/s${at}`).chat.completions.stream({ model: 'm', messages, stream_options })
      stream.on('content', (delta) => deltas.push(delta))
      const final = await stream.finalChatCompletion()
      assert.equal(final.choices[0]!.message.content, 'SOME QUIET WORDS')
      assert.equal(final.usage!.total_tokens, 10)
      assert.deepEqual(deltas, ['SOME', ' QUIET', ' WORDS'])
    })
  }

  for (const at of ['/anthropic', '/gemini', '/ollama']) {
    for (const stream of [false, true]) {
      await t.test(`${at}${stream ? ', streamed' : ''}: a function is called, and what it gave is told`, async () => {
        const cities: string[] = []
        const weather = {
          name: 'weather',
          parameters: { type: 'object', properties: { city: { type: 'string' } } },
          parse: JSON.parse,
          function: ({ city }: { city: string }) => {
            cities.push(city)
            return 'raining'
          },
        }
        const tools = [{ type: 'function', function: weather }]
        const runner = clientOf(`${stream ? '/cs' : '/c'}${at}`).chat.completions.runTools({
          model: 'm',
          messages,
          tools,
          stream,
        })
        assert.equal(await runner.finalContent(), 'It is raining.')
        assert.deepEqual(cities, ['Oslo'])
      })
    }
  }

  await t.test('a prompt, streamed', async () => {
    let text = ''
    const stream = await clientOf('/prompts').completions.create({ model: 'm', prompt: 'a b', stream: true })
    for await (const { choices } of stream) text += choices[0]!.text
    assert.equal(text, 'A B')
  })

  await t.test('a refusal is an error with its message', async () => {
    const refused = clientOf('/openai').chat.completions.create({ model: 'other', messages })
    await assert.rejects(refused, (error: Error & { status?: number }) => {
      assert.ok(error instanceof sdk.APIError)
      assert.equal(error.status, 400)
      assert.match(error.message, /cannot use own model - must be: m/)
      return true
    })
  })
})
