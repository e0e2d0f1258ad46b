import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { fakeExchange, fakeTools, FakeMetrics, prepare, sentBody } from '#pdk/testing'
import { aiRequestTransformer } from './plugin.ts'

const ANSWER = {
  model: 'm-2024',
  choices: [{ message: { role: 'assistant', content: 'rewritten' } }],
  usage: { prompt_tokens: 1000, completion_tokens: 500 },
}
const server = createServer((request, response) => {
  response.end(request.url === '/huge' ? 'x'.repeat(5 << 20) : JSON.stringify(ANSWER))
})
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
after(() => server.close())

function run(more: object, path = '/', request: Parameters<typeof fakeExchange>[0] = { body: 'as it was' }) {
  const { port } = server.address() as AddressInfo
  const warnings: object[] = []
  const metrics = new FakeMetrics()
  const log = { ...fakeTools().log, warn: (fields: object) => void warnings.push(fields) }
  const options = { upstream_url: `http://127.0.0.1:${port}${path}`, input_cost: 2, output_cost: 6 }
  const llm = { route_type: 'llm/v1/chat', model: { provider: 'openai', name: 'm', options }, ...more }
  const state = prepare(aiRequestTransformer, { prompt: 'p', llm }, { log, metrics })
  const ask = async () => {
    const exchange = fakeExchange({ method: 'POST', ...request })
    const exit = await aiRequestTransformer.access!(exchange, state)
    return { exchange, status: exit?.status ?? null, sent: sentBody(exchange) }
  }
  return { ask, warnings, metrics, close: () => aiRequestTransformer.close!(state) }
}

test('tokens, costs and texts are logged as far as that is wanted', async () => {
  const { ask, close } = run({ logging: { log_statistics: true, log_payloads: true } })
  const { exchange, sent } = await ask()
  close()
  assert.equal(sent, 'rewritten')
  assert.partialDeepStrictEqual(exchange.logFields, {
    ai: {
      'ai-request-transformer': {
        meta: { provider_name: 'openai', request_model: 'm', response_model: 'm-2024' },
        usage: { prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500, cost: 0.005 },
        payload: { request: 'as it was', response: 'rewritten' },
      },
    },
  })
  const plain = run({})
  assert.equal((await plain.ask()).exchange.logFields, null)
  plain.close()
})

test('a service that fails stops requests, and is told of once', async () => {
  const { ask, warnings, metrics, close } = run({}, '/huge')
  for (let i = 0; i < 2; i++) assert.deepEqual((await ask()).status, 500)
  close()
  assert.equal(warnings.length, 1)
  assert.deepEqual(metrics.calls, Array(2).fill('ai-request-transformer chat failed'))
})

test('what is no text, or too long, is not sent to the model', async () => {
  const encoded = run({}, '/', { body: 'x', headers: { 'Content-Encoding': 'gzip' } })
  assert.equal((await encoded.ask()).status, 400)
  const long = run({}, '/', { body: 'x'.repeat(8193) })
  assert.equal((await long.ask()).status, 413)
  const none = run({}, '/', {})
  assert.equal((await none.ask()).status, null)
  for (const { metrics, close } of [encoded, long, none]) {
    assert.deepEqual(metrics.calls, [])
    close()
  }
})
