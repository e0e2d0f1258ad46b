/** What jwt-signer signs, verified as an upstream does it: by the keys that the gateway publishes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { ask } from '../support/ask.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'

async function configure({ adminUrl }: Gateway, upstreamPort: number): Promise<void> {
  const steps: [string, object][] = [
    ['/services', { name: 's', host: '127.0.0.1', port: upstreamPort }],
    ['/services/s/routes', { name: 'r', paths: ['/s'] }],
    ['/routes/r/plugins', { name: 'key-auth' }],
    ['/routes/r/plugins', { name: 'jwt-signer', config: { audience: ['s'] } }],
    ['/services/s/routes', { name: 'keys', paths: ['/keys'] }],
    ['/routes/keys/plugins', { name: 'jwt-signer', config: { jwks_path: '/keys' } }],
    ['/consumers', { username: 'ann' }],
    ['/consumers/ann/key-auth', { key: 'k' }],
  ]
  for (const [at, body] of steps) {
    const reply = await ask(adminUrl + at, { method: 'POST', body })
    assert.equal(reply.status, 201, reply.text)
  }
}

test('all workers sign with one key, which the published keys verify', async () => {
  await using upstream = await startUpstream()
  await using gateway = await startGateway({ database: 'sqlite', workers: 3 })
  await configure(gateway, upstream.port)
  const replies = await Promise.all(
    Array.from({ length: 12 }, () => ask(`${gateway.proxyUrl}/s`, { headers: { apikey: 'k' } })),
  )
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]))
  const tokens = upstream.received.map(({ headers }) => String(headers['x-identity-token']))
  assert.equal(tokens.length, 12)
  const keys = createRemoteJWKSet(new URL(`${gateway.proxyUrl}/keys`))
  const kids = new Set<unknown>()
  for (const token of tokens) {
    const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer: 'meridian', audience: 's' })
    assert.equal(payload['consumer_username'], 'ann')
    kids.add(protectedHeader.kid)
  }
  assert.equal(kids.size, 1)
  const log = await ask(`${gateway.adminUrl}/log`)
  assert.ok(!log.text.includes('PRIVATE KEY'), 'a key is in the log of the configuration')
})
