/** The three plugins for prompts, one after the other on a real gateway: what the model gets, and what never reaches it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { startGateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'

test('a template is filled in, decorated, and then judged', async () => {
  await using upstream = await startUpstream()
  const template = '{"messages":[{"role":"user","content":"Tell me about {{city}}"}]}'
  await using gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [
        {
          url: `http://127.0.0.1:${upstream.port}`,
          routes: [{ paths: ['/'] }],
          plugins: [
            { name: 'ai-prompt-guard', config: { deny_patterns: ['(?i)atlantis'] } },
            { name: 'ai-prompt-decorator', config: { prompts: { prepend: [{ content: 'Be brief.' }] } } },
            { name: 'ai-prompt-template', config: { templates: [{ name: 'city', template }] } },
          ],
        },
      ],
    },
  })
  const about = async (city: string) => {
    const body = { messages: '{template://city}', properties: { city } }
    const { status, json } = await ask(gateway.proxyUrl, { method: 'POST', body })
    return [status, json.error?.message]
  }
  assert.deepEqual(await about('Oslo'), [200, undefined])
  assert.deepEqual(await about('AtLantis'), [400, 'bad request'])
  assert.equal(upstream.received.length, 1)
  const { body, headers } = upstream.received[0]!
  assert.deepEqual(JSON.parse(body.toString()), {
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Tell me about Oslo' },
    ],
  })
  assert.equal(headers['content-length'], String(body.length))
})
