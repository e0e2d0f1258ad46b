/** openid-connect and oauth2-introspection against a real provider (oidc-provider), over several workers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { freeGatewayPorts, startGateway } from '../support/gateway.ts'
import { Browser, startIdentityProvider } from '../support/identity-provider.ts'
import { startUpstream } from '../support/upstream-server.ts'

const RESOURCE = 'https://orders.example'

const app = (issuer: string, gateway: string, name: string, config: object = {}) => ({
  name,
  paths: [`/${name}`],
  plugins: [
    {
      name: 'openid-connect',
      config: {
        issuer,
        client_id: [name],
        client_secret: [`${name}-secret-that-is-long-enough`],
        redirect_uri: [`${gateway}/${name}/callback`],
        scopes: ['openid', 'email'],
        login_action: 'redirect',
        consumer_claim: ['sub'],
        authenticated_groups_claim: ['groups'],
        session_secret: 'the same for all workers',
        ...config,
      },
    },
  ],
})

test('a real provider logs browsers in and out, and its tokens let in, whichever worker is asked', async () => {
  const ports = await freeGatewayPorts()
  const origin = `http://127.0.0.1:${ports.proxy}`
  // Access tokens end so soon that each request refreshes them.
  await using provider = await startIdentityProvider(origin, 4)
  await using upstream = await startUpstream()
  const { issuer } = provider
  await using gateway = await startGateway({
    ports,
    workers: 3,
    declarative: {
      _format_version: '3.0',
      consumers: [{ username: 'ann' }, { username: 'batch-jobs', custom_id: 'batch' }],
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          routes: [
            app(issuer, origin, 'web', {
              session_storage: 'kong',
              backchannel_logout_path: '/web/backchannel',
              logout_uri_suffix: '/logout',
              logout_methods: ['GET'],
              logout_redirect_uri: [`${origin}/bye`],
            }),
            app(issuer, origin, 'post', { client_auth: ['client_secret_post'] }),
            app(issuer, origin, 'jwt', { client_auth: ['client_secret_jwt'] }),
            {
              name: 'api',
              paths: ['/api'],
              plugins: [
                {
                  name: 'openid-connect',
                  config: {
                    issuer,
                    client_id: ['batch'],
                    client_secret: ['batch-secret-that-is-long-enough'],
                    scopes: [],
                    auth_methods: ['bearer', 'introspection', 'client_credentials'],
                  },
                },
              ],
            },
            {
              name: 'introspected',
              paths: ['/introspected'],
              plugins: [
                {
                  name: 'oauth2-introspection',
                  config: {
                    introspection_url: `${issuer}/token/introspection`,
                    authorization_value: `Basic ${Buffer.from('batch:batch-secret-that-is-long-enough').toString('base64')}`,
                    consumer_by: 'client_id',
                  },
                },
              ],
            },
            { name: 'bye', paths: ['/bye'] },
          ],
        },
      ],
    },
  })
  const upstreamHeaders = () => upstream.received.at(-1)!.headers

  for (const name of ['web', 'post', 'jwt']) {
    const page = await new Browser().open(`${origin}/${name}/cart?id=7`)
    assert.deepEqual([page.status, page.url.href], [200, `${origin}/${name}/cart?id=7`], page.text)
    assert.equal(upstreamHeaders()['x-consumer-username'], 'ann')
    assert.equal(upstreamHeaders()['x-authenticated-groups'], 'staff, admins')
    assert.equal(upstreamHeaders()['cookie'], undefined)
  }

  const browser = new Browser()
  await browser.open(`${origin}/web`)
  for (let round = 0; round < 3; round++) {
    const pages = await Promise.all(Array.from({ length: 9 }, () => browser.open(`${origin}/web/x`)))
    assert.deepEqual(
      pages.map(({ status, url }) => `${status} ${url.pathname}`),
      Array(9).fill('200 /web/x'),
    )
  }
  const session = browser.cookies.get(new URL(origin).host)!.get('session')!
  const resumed = await ask(`${origin}/web`, { headers: { Cookie: `session=${session}` } })
  assert.equal(resumed.status, 200)

  // The user leaves the provider, which tells the gateway by the back channel.
  const form = await browser.open(`${issuer}/session/end`)
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(form.text)?.[1]
  assert.ok(xsrf !== undefined, form.text)
  await browser.open(`${issuer}/session/end/confirm`, {
    method: 'POST',
    body: new URLSearchParams({ xsrf, logout: 'yes' }),
  })
  await waitForStatus(`${origin}/web`, session, 302)

  const second = new Browser()
  await second.open(`${origin}/web`)
  const out = await second.open(`${origin}/web/logout`)
  assert.equal(out.url.origin, issuer, 'the provider is asked to end its session, too')
  assert.equal(second.cookies.get(new URL(origin).host)!.get('session'), undefined)

  const bearer = (token: string) => ask(`${origin}/api`, { headers: { Authorization: `Bearer ${token}` } })
  const jwt = await provider.clientToken({ resource: RESOURCE, scope: 'orders:read' })
  const opaque = await provider.clientToken()
  for (let i = 0; i < 6; i++) {
    assert.equal((await bearer(jwt)).status, 200)
    assert.equal((await bearer(opaque)).status, 200)
  }
  assert.equal((await bearer(`${jwt.slice(0, -8)}AAAAAAAA`)).status, 401)
  assert.equal((await bearer('made-up')).status, 401)
  const basic = (text: string) => ({ headers: { Authorization: `Basic ${Buffer.from(text).toString('base64')}` } })
  assert.equal((await ask(`${origin}/api`, basic('batch:batch-secret-that-is-long-enough'))).status, 200)
  assert.equal((await ask(`${origin}/api`, basic('batch:wrong'))).status, 401)

  const introspected = (token: string) =>
    ask(`${origin}/introspected`, { headers: { Authorization: `Bearer ${token}` } })
  assert.equal((await introspected(opaque)).status, 200)
  assert.equal(upstreamHeaders()['x-credential-client-id'], 'batch')
  assert.equal(upstreamHeaders()['x-consumer-username'], 'batch-jobs')
  assert.equal((await introspected('made-up')).status, 401)

  const metrics = await ask(`${gateway.statusUrl}/metrics`)
  assert.match(
    metrics.text,
    /meridian_plugin_calls_total\{plugin="openid-connect",call="introspection",outcome="answered"\} \d/,
  )

  await provider.stop()
  assert.equal((await bearer(jwt)).status, 200, 'the keys are known')
  assert.equal((await bearer('never-seen')).status, 503)
  assert.equal((await introspected('never-seen')).status, 503)
})

async function waitForStatus(url: string, session: string, status: number): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const reply = await ask(url, { headers: { Cookie: `session=${session}` } })
    if (reply.status === status || attempt === 40) return assert.equal(reply.status, status)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
