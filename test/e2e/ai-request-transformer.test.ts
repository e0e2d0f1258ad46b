/** ai-request-transformer on a real gateway, against servers that speak the form of each provider. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { startLanguageModel } from '../support/language-model.ts'
import { startUpstream } from '../support/upstream-server.ts'

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

test('every provider rewrites the body, and a failing one stops the request', async () => {
  await using upstream = await startUpstream()
  await using model = await startLanguageModel(KEY)
  const plugin = (at: string, provider: string, options: object, auth: object, more: object = {}) => ({
    name: 'ai-request-transformer',
    config: {
      prompt: 'Say it louder.',
      ...more,
      llm: {
        route_type: 'llm/v1/chat',
        auth,
        logging: { log_statistics: true },
        model: { provider, name: 'm', options: { ...options, upstream_url: `http://127.0.0.1:${model.port}/${at}` } },
      },
    },
  })
  const routes = PROVIDERS.map((given, index) => ({
    paths: [`/p${index}$`, `/p${index}`],
    plugins: [plugin(...given)],
  }))
  const special = [
    {
      paths: ['/extract'],
      plugins: [plugin('openai', 'openai', {}, bearer, { transformation_extract_pattern: 'L[A-Z]+' })],
    },
    {
      paths: ['/nothing'],
      plugins: [plugin('openai', 'openai', {}, bearer, { transformation_extract_pattern: '\\d{9}' })],
    },
    { paths: ['/denied'], plugins: [plugin('openai', 'openai', {}, { ...bearer, header_value: 'Bearer other' })] },
    { paths: ['/missing'], plugins: [plugin('nowhere', 'openai', {}, bearer)] },
    { paths: ['/form'], plugins: [plugin('gemini', 'openai', {}, bearer)] },
  ]
  await using gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [{ url: `http://127.0.0.1:${upstream.port}`, routes: [...routes, ...special] }],
    },
  })
  const post = async (path: string) => {
    const reply = await fetch(gateway.proxyUrl + path, {
      method: 'POST',
      body: 'a loud word',
      signal: AbortSignal.timeout(20_000),
    })
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
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  assert.match(
    metrics,
    /meridian_plugin_calls_total\{[^}]*plugin="ai-request-transformer",call="chat",outcome="answered"[^}]*\} 10/,
  )
  assert.ok(!gateway.child.output.includes(KEY), 'the log has the key')
})
