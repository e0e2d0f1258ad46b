/** The plugins for language models on one real gateway, against a server that speaks the form of each provider. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask } from '../support/ask.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startLanguageModel } from '../support/language-model.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'

const KEY = 'sk-the-key'
const bearer = { header_name: 'Authorization', header_value: `Bearer ${KEY}` }
const PROVIDERS: readonly [at: string, provider: string, options: object, auth: object][] = [
  ['openai', 'openai', {}, bearer],
  ['anthropic', 'anthropic', { anthropic_version: '2023-06-01' }, { header_name: 'x-api-key', header_value: KEY }],
  ['cohere', 'cohere', {}, bearer],
  ['gemini', 'gemini', {}, { param_name: 'key', param_value: KEY, param_location: 'query' }],
  ['openai', 'mistral', { mistral_format: 'openai' }, bearer],
  ['ollama', 'mistral', { mistral_format: 'ollama' }, bearer],
  ['raw', 'llama2', { llama2_format: 'raw' }, bearer],
  ['openai', 'azure', { azure_instance: 'a', azure_deployment_id: 'd' }, bearer],
]

let upstream: Upstream
let model: Upstream
let gateway: Gateway
before(async () => {
  upstream = await startUpstream()
  model = await startLanguageModel(KEY)
  gateway = await startGateway({ declarative: declarative() })
})
after(async () => {
  await gateway.stop()
  await model.close()
  await upstream.close()
})

function transformer(at: string, provider: string, options: object, auth: object, more: object = {}) {
  const upstream_url = `http://127.0.0.1:${model.port}/${at}`
  return {
    name: 'ai-request-transformer',
    config: {
      prompt: 'Say it louder.',
      ...more,
      llm: {
        route_type: 'llm/v1/chat',
        auth,
        logging: { log_statistics: true },
        model: { provider, name: 'm', options: { ...options, upstream_url } },
      },
    },
  }
}

function declarative(): object {
  const extracting = (pattern: string) =>
    transformer('openai', 'openai', {}, bearer, { transformation_extract_pattern: pattern })
  const template = '{"messages":[{"role":"user","content":"Tell me about {{city}}"}]}'
  const routes = {
    ...Object.fromEntries(PROVIDERS.map((given, index) => [`/p${index}`, [transformer(...given)]])),
    '/extract': [extracting('L[A-Z]+')],
    '/nothing': [extracting('\\d{9}')],
    '/denied': [transformer('openai', 'openai', {}, { ...bearer, header_value: 'Bearer other' })],
    '/missing': [transformer('nowhere', 'openai', {}, bearer)],
    '/form': [transformer('gemini', 'openai', {}, bearer)],
    '/prompts': [
      { name: 'ai-prompt-guard', config: { deny_patterns: ['(?i)atlantis'] } },
      { name: 'ai-prompt-decorator', config: { prompts: { prepend: [{ content: 'Be brief.' }] } } },
      { name: 'ai-prompt-template', config: { templates: [{ name: 'city', template }] } },
    ],
  }
  return {
    _format_version: '3.0',
    services: [
      {
        url: `http://127.0.0.1:${upstream.port}`,
        routes: Object.entries(routes).map(([path, plugins]) => ({ paths: [path], plugins })),
      },
    ],
  }
}

test('a template is filled in, decorated, and then judged', async () => {
  const about = async (city: string) => {
    const body = { messages: '{template://city}', properties: { city } }
    const { status, json } = await ask(`${gateway.proxyUrl}/prompts`, { method: 'POST', body })
    return [status, json.error?.message]
  }
  const passed = upstream.received.length
  assert.deepEqual(await about('AtLantis'), [400, 'bad request'])
  assert.deepEqual(await about('Oslo'), [200, undefined])
  assert.equal(upstream.received.length, passed + 1)
  const { body, headers } = upstream.received.at(-1)!
  assert.deepEqual(JSON.parse(body.toString()), {
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Tell me about Oslo' },
    ],
  })
  assert.equal(headers['content-length'], String(body.length))
})

test('every provider rewrites the body, and a failing one stops the request', async () => {
  const post = async (path: string) => {
    const signal = AbortSignal.timeout(20_000)
    const reply = await fetch(gateway.proxyUrl + path, { method: 'POST', body: 'a loud word', signal })
    const { body, error } = (await reply.json()) as { body?: string; error?: { message: string } }
    return `${reply.status} ${error === undefined ? body : error.message}`
  }
  for (const [index, [at, provider]] of PROVIDERS.entries())
    assert.equal(await post(`/p${index}`), '200 Here it is: A LOUD WORD!', `${provider} as ${at}`)
  assert.equal(await post('/extract'), '200 LOUD')
  const passed = upstream.received.length
  assert.equal(await post('/nothing'), '400 transformation failed: the answer does not match the pattern')
  assert.equal(await post('/denied'), '500 the AI service answered 401')
  assert.equal(await post('/missing'), '500 the AI service answered 404')
  assert.equal(await post('/form'), '500 the AI service answered 400')
  await model.close()
  assert.equal(await post('/p0'), '500 failed to ask the AI service')
  assert.equal(upstream.received.length, passed)
  const { text } = await ask(`${gateway.adminUrl}/metrics`)
  assert.match(
    text,
    /meridian_plugin_calls_total\{[^}]*"ai-request-transformer",call="chat",outcome="answered"[^}]*\} 10/,
  )
  assert.ok(!gateway.child.output.includes(KEY), 'the log has the key')
})
