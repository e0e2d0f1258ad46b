/** Tokens over several workers and a restart: what one worker gave out the others know, and what is good once is so everywhere. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream-server.ts'

const config = {
  enable_authorization_code: true,
  enable_client_credentials: true,
  accept_http_if_already_terminated: true,
  provision_key: 'provision',
}
const CLIENT = { client_id: 'app', client_secret: 'secret' }

async function configure({ adminUrl }: Gateway, upstreamPort: number): Promise<void> {
  const steps: [string, object][] = [
    ['/services', { name: 's', host: '127.0.0.1', port: upstreamPort }],
    ['/services/s/routes', { name: 'r', paths: ['/s'] }],
    ['/services/s/plugins', { name: 'oauth2', config }],
    ['/consumers', { username: 'alice' }],
    ['/consumers/alice/oauth2', { name: 'app', ...CLIENT, redirect_uris: ['https://app.test/cb'] }],
  ]
  for (const [at, body] of steps) assert.equal((await ask(adminUrl + at, { method: 'POST', body })).status, 201, at)
}

function post({ proxyUrl }: Gateway, endpoint: string, body: object) {
  return ask(`${proxyUrl}/s/oauth2/${endpoint}`, {
    method: 'POST',
    body: { ...CLIENT, ...body },
    headers: { 'X-Forwarded-Proto': 'https' },
  })
}

const open = ({ proxyUrl }: Gateway, token: string) =>
  ask(`${proxyUrl}/s`, { headers: { Authorization: `Bearer ${token}` } })

test('a code and a refresh token are good once over all workers, and tokens outlive a restart', async () => {
  const prefix = mkdtempSync(path.join(tmpdir(), 'meridian-oauth2-'))
  const settings = { trusted_ips: '127.0.0.1' }
  await using upstream = await startUpstream()
  const start = () => startGateway({ database: 'sqlite', workers: 3, prefix, settings })
  let gateway = await start()
  try {
    await configure(gateway, upstream.port)
    const user = { response_type: 'code', provision_key: 'provision', authenticated_userid: 'ann' }
    const authorized = await post(gateway, 'authorize', user)
    const code = new URL(authorized.json.redirect_uri as string).searchParams.get('code')
    const exchange = { grant_type: 'authorization_code', code }
    const answers = await Promise.all(Array.from({ length: 12 }, () => post(gateway, 'token', exchange)))
    const issued = answers.filter(({ status }) => status === 200)
    assert.equal(issued.length, 1, `${issued.length} of one code`)
    const { access_token, refresh_token } = issued[0]!.json
    const opened = await Promise.all(Array.from({ length: 12 }, () => open(gateway, access_token)))
    assert.deepEqual(new Set(opened.map(({ status }) => status)), new Set([200]))
    assert.equal(upstream.received.at(-1)?.headers['x-authenticated-userid'], 'ann')

    await gateway.stop()
    gateway = await start()
    assert.equal((await open(gateway, access_token)).status, 200)
    const refresh = { grant_type: 'refresh_token', refresh_token }
    const refreshed = await Promise.all(Array.from({ length: 12 }, () => post(gateway, 'token', refresh)))
    const [second, ...others] = refreshed.filter(({ status }) => status === 200)
    assert.equal(others.length, 0, `${others.length + 1} of one refresh token`)
    assert.equal((await open(gateway, second!.json.access_token)).status, 200)

    const log = await ask(`${gateway.adminUrl}/log`)
    assert.ok(!log.text.includes('oauth2_tokens'), 'a token is in the log of the configuration')
    assert.equal((await ask(`${gateway.adminUrl}/oauth2/app`, { method: 'DELETE' })).status, 204)
    assert.equal((await open(gateway, second!.json.access_token)).status, 401)
  } finally {
    await gateway.stop()
    rmSync(prefix, { recursive: true })
  }
})
