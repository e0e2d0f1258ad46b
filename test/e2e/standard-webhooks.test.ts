/** Webhooks signed by the specification's own library, and the same library's verdict on what the upstream got. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { startGateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { Webhook } from 'standardwebhooks'

const SENDERS = {
  shown: { secret: `whsec_${Buffer.from('a secret of the sender').toString('base64')}`, options: {} },
  raw: { secret: 'a key as text', options: { format: 'raw' } as const },
}

test('what a real sender signs passes as it is, and nothing else does', async () => {
  await using upstream = await startUpstream()
  await using gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          routes: Object.entries(SENDERS).map(([name, { secret }]) => ({
            name,
            paths: [`/${name}`],
            plugins: [{ name: 'standard-webhooks', config: { secret_v1: secret } }],
          })),
        },
      ],
    },
  })
  for (const [name, { secret, options }] of Object.entries(SENDERS)) {
    const sender = new Webhook(secret, options)
    const sentAt = new Date()
    // What the signature is over is the text as it goes: `ask` sends it as JSON.
    const body = { type: 'order.paid', note: 'grüße', data: 'x'.repeat(50_000) }
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
      'webhook-signature': sender.sign('msg_1', sentAt, JSON.stringify(body)),
    }
    const send = (more: object, changed: object = body) =>
      ask(`${gateway.proxyUrl}/${name}`, { method: 'POST', body: changed, headers: { ...headers, ...more } })
    assert.equal((await send({})).status, 200)
    const got = upstream.received.at(-1)!
    assert.deepEqual(sender.verify(got.body, { ...got.headers }), body)
    const other = new Webhook(Buffer.from('guessed').toString('base64'))
    for (const [more, changed] of [
      [{ 'webhook-signature': other.sign('msg_1', sentAt, JSON.stringify(body)) }],
      [{ 'webhook-id': 'msg_2' }],
      [{}, { ...body, type: 'order.refunded' }],
    ] as const)
      assert.equal((await send(more, changed)).status, 400)
    assert.equal(
      (await send({ 'webhook-signature': `${other.sign('msg_1', sentAt, '{}')} ${headers['webhook-signature']}` }))
        .status,
      200,
    )
  }
})
