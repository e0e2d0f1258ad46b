/** Plugins against the servers that they are most used with; heavy ones, so `npm run test:parts` runs them. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { blocksOf } from '../support/doc-page.ts'
import { isFullEffort } from '../support/effort.ts'
import { freePort } from '../support/free-port.ts'
import { freeGatewayPorts, startGateway } from '../support/gateway.ts'
import { Browser, type Page } from '../support/identity-provider.ts'
import { startKeycloak } from '../support/keycloak.ts'
import { KEYCLOAK_VERSION, OPA_VERSION, requirePart } from '../support/parts.ts'
import { isListening, startChild } from '../support/process.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'
import { record, today } from './report.ts'

const skip = isFullEffort() ? false : 'takes minutes: npm run test:parts'
const DOCS = path.resolve(import.meta.dirname, '..', '..', 'docs')

test('opa: a real agent decides, by the policy of the documentation', { skip }, async (t) => {
  const opa = await requirePart(t, 'opa')
  if (opa === null) return
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-opa-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const page = blocksOf(readFileSync(path.join(DOCS, 'plugins', 'opa.md'), 'utf8'))
  writeFileSync(path.join(folder, 'gateway.rego'), page.find(({ language }) => language === 'rego')!.text)
  writeFileSync(path.join(folder, 'more.rego'), MORE_RULES)
  const port = await freePort()
  const agent = await startChild({
    command: opa.command,
    args: ['run', '--server', '--addr', `127.0.0.1:${port}`, folder],
    env: { ...process.env, ...opa.env },
    name: 'opa',
  })
  t.after(() => agent.stop())
  await agent.waitUntil('listening', () => isListening(port))
  await using upstream = await startUpstream()
  const route = (name: string, document: string, config: object = {}) => ({
    name,
    paths: [`~/${name}/(?<id>\\w+)$`],
    plugins: [
      { name: 'opa', config: { opa_host: '127.0.0.1', opa_port: port, opa_path: `/v1/data/${document}`, ...config } },
    ],
  })
  await using gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          routes: [
            route('page', 'gateway/decision'),
            route('plain', 'more/allow', { include_uri_captures_in_opa_input: true }),
            route('body', 'more/small_total', { include_parsed_json_body_in_opa_input: true }),
            route('nothing', 'more/not_there'),
            route('broken', 'more/conflict'),
          ],
        },
      ],
    },
  })
  const at = (target: string) => gateway.proxyUrl + target
  const post = (total: unknown) => ask(at('/body/7'), { method: 'POST', body: { total } })
  const decisions: [string, () => Promise<{ readonly status: number }>, number][] = [
    ['a yes with headers', () => ask(at('/page/7')), 200],
    ['a no with a status', () => ask(at('/page/7'), { method: 'POST', body: {} }), 403],
    ['a yes by address, query, header and capture', () => ask(at('/plain/7?team=blue&tag=a&tag=b'), BLUE), 200],
    ['a no by the query', () => ask(at('/plain/7?team=red&tag=a&tag=b'), BLUE), 403],
    ['a no by the header', () => ask(at('/plain/7?team=blue&tag=a&tag=b')), 403],
    ['a no by the capture', () => ask(at('/plain/8?team=blue&tag=a&tag=b'), BLUE), 403],
    ['a yes by the body', () => post(10), 200],
    ['a no by the body', () => post(1000), 403],
    ['a body that is not what the policy takes', () => post('10'), 403],
    ['a document that is not there', () => ask(at('/nothing/7')), 503],
    ['a policy that contradicts itself', () => ask(at('/broken/7')), 503],
  ]
  const wrong: string[] = []
  for (const [name, decide, status] of decisions) {
    const answer = await decide()
    if (answer.status !== status) wrong.push(`${name}: ${answer.status}`)
  }
  assert.equal(upstream.received[0]!.headers['x-team'], 'blue')
  assert.equal((await ask(at('/page/7'), { method: 'POST', body: {} })).json.message, 'look only')
  await agent.stop()
  assert.equal((await ask(at('/page/7'))).status, 503)
  assert.deepEqual(wrong, [])
  record({
    suite: 'Open Policy Agent',
    version: OPA_VERSION.slice(1),
    against: 'the plugin opa',
    result: `${decisions.length} of ${decisions.length} decisions as the policy has them`,
    compared: '',
    findings: [],
    date: today(),
  })
})

const BLUE = { headers: { 'X-Team': 'blue' } }
const MORE_RULES = `package more

default allow := false

allow if {
  input.client_ip == "127.0.0.1"
  input.request.http.querystring.team == "blue"
  input.request.http.querystring.tag == ["a", "b"]
  input.request.http.headers["x-team"] == "blue"
  input.request.http.uri_captures.named.id == "7"
}

default small_total := false

small_total if {
  is_number(input.request.http.parsed_body.total)
  input.request.http.parsed_body.total < 100
}

conflict := 1

conflict := 2
`

const SECRET = 'a-secret-that-is-long-enough'

test('openid-connect: a real Keycloak logs browsers in and out, and its tokens let in', { skip }, async (t) => {
  const program = await requirePart(t, 'keycloak')
  if (program === null) return
  const ports = await freeGatewayPorts()
  const origin = `http://127.0.0.1:${ports.proxy}`
  await using keycloak = await startKeycloak(program, realmFor(origin))
  const { issuer } = keycloak
  await using upstream = await startUpstream()
  const common = { issuer, client_secret: [SECRET], session_secret: 'the same for all workers' }
  const route = (name: string, config: object) => ({
    name,
    paths: [`/${name}`],
    plugins: [{ name: 'openid-connect', config: { ...common, ...config } }],
  })
  await using gateway = await startGateway({
    ports,
    workers: 2,
    declarative: {
      _format_version: '3.0',
      consumers: [{ username: 'ann' }],
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: upstream.port,
          routes: [
            route('web', {
              client_id: ['web'],
              redirect_uri: [`${origin}/web/callback`],
              scopes: ['openid', 'email'],
              login_action: 'redirect',
              consumer_claim: ['preferred_username'],
              authenticated_groups_claim: ['groups'],
              session_storage: 'kong',
              backchannel_logout_path: '/web/backchannel',
              logout_uri_suffix: '/logout',
              logout_methods: ['GET'],
              logout_redirect_uri: [`${origin}/bye`],
            }),
            route('api', {
              client_id: ['batch'],
              scopes: [],
              auth_methods: ['bearer', 'introspection', 'client_credentials'],
            }),
            { name: 'bye', paths: ['/bye'] },
          ],
        },
      ],
    },
  })
  const held: string[] = []
  const holds = async (what: string, check: () => Promise<void>) => {
    await t.test(what, check)
    held.push(what)
  }
  const browser = new Browser()

  await holds('a login by the code flow with PKCE, and what the user is', async () => {
    const page = await logIn(browser, `${origin}/web/cart?id=7`)
    assert.deepEqual([page.status, page.url.href], [200, `${origin}/web/cart?id=7`], page.text)
    const { headers } = upstream.received.at(-1)!
    assert.equal(headers['x-consumer-username'], 'ann')
    assert.equal(headers['x-authenticated-groups'], 'staff')
    assert.equal(headers['cookie'], undefined)
  })

  await holds('a session on every worker, with tokens that are refreshed', async () => {
    // Access tokens of this realm end after three seconds.
    for (let second = 0; second < 5; second++) {
      const pages = await Promise.all([1, 2, 3].map(() => browser.open(`${origin}/web/x`)))
      assert.deepEqual(
        pages.map(({ status, url }) => `${status} ${url.pathname}`),
        Array(3).fill('200 /web/x'),
      )
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  })

  await holds('a logout at the gateway, which ends the session at the provider', async () => {
    const second = new Browser()
    await logIn(second, `${origin}/web`)
    const out = await second.open(`${origin}/web/logout`)
    assert.deepEqual([out.status, out.url.href], [200, `${origin}/bye`], out.text)
    assert.match((await second.open(`${origin}/web`)).text, /kc-form-login/)
  })

  await holds('a logout at the provider, told by the back channel', async () => {
    const form = await browser.open(`${issuer}/protocol/openid-connect/logout`)
    const done = await browser.open(actionOf(form), { method: 'POST', body: new URLSearchParams(hiddenOf(form)) })
    assert.equal(done.status, 200, done.text)
    await waitUntil('the session is over', async () => /kc-form-login/.test((await browser.open(`${origin}/web`)).text))
  })

  await holds('tokens of a client, verified and introspected', async () => {
    const token = await clientToken(issuer)
    const bearer = (text: string) => ask(`${origin}/api`, { headers: { Authorization: `Bearer ${text}` } })
    assert.equal((await bearer(token)).status, 200)
    assert.equal((await bearer(`${token.slice(0, -8)}AAAAAAAA`)).status, 401)
    assert.equal((await bearer('made-up')).status, 401)
    const { text } = await ask(`${gateway.statusUrl}/metrics`)
    assert.match(text, /meridian_plugin_calls_total\{plugin="openid-connect",call="introspection",outcome="\w+"\} \d/)
    const basic = (given: string) => ({ headers: { Authorization: `Basic ${Buffer.from(given).toString('base64')}` } })
    assert.equal((await ask(`${origin}/api`, basic(`batch:${SECRET}`))).status, 200)
    assert.equal((await ask(`${origin}/api`, basic('batch:wrong'))).status, 401)
  })

  record({
    suite: 'Keycloak',
    version: KEYCLOAK_VERSION,
    against: 'the plugin openid-connect',
    result: `${held.length} of ${held.length} hold: ${held.join('; ')}`,
    compared: '',
    findings: [],
    date: today(),
  })
})

async function logIn(browser: Browser, url: string): Promise<Page> {
  const form = await browser.open(url)
  const body = new URLSearchParams({ username: 'ann', password: 'a password of hers' })
  return await browser.open(actionOf(form), { method: 'POST', body })
}

function actionOf({ text, url }: Page): string {
  const action = /<form[^>]*\saction="([^"]+)"/.exec(text)?.[1]
  assert.ok(action !== undefined, text)
  return new URL(action.replaceAll('&amp;', '&'), url).href
}

function hiddenOf({ text }: Page): Record<string, string> {
  const inputs = [...text.matchAll(/<input[^>]*type="(?:hidden|submit)"[^>]*>/g)].map(([tag]) => tag)
  const attribute = (tag: string, name: string) => new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? ''
  return Object.fromEntries(inputs.map((tag) => [attribute(tag, 'name'), attribute(tag, 'value')]))
}

async function clientToken(issuer: string): Promise<string> {
  const response = await fetch(`${issuer}/protocol/openid-connect/token`, {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from(`batch:${SECRET}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  const { access_token: token } = (await response.json()) as { access_token?: string }
  assert.ok(token !== undefined, `${response.status}`)
  return token
}

function realmFor(origin: string) {
  return {
    realm: 'shop',
    enabled: true,
    sslRequired: 'none',
    accessTokenLifespan: 3,
    groups: [{ name: 'staff' }],
    users: [
      {
        username: 'ann',
        enabled: true,
        email: 'ann@shop.example',
        emailVerified: true,
        firstName: 'Ann',
        lastName: 'Example',
        groups: ['/staff'],
        credentials: [{ type: 'password', value: 'a password of hers' }],
      },
    ],
    clients: [
      {
        clientId: 'web',
        secret: SECRET,
        redirectUris: [`${origin}/web/callback`],
        attributes: {
          'pkce.code.challenge.method': 'S256',
          'backchannel.logout.url': `${origin}/web/backchannel`,
          'backchannel.logout.session.required': 'true',
          'post.logout.redirect.uris': `${origin}/bye`,
        },
        protocolMappers: [
          {
            name: 'groups',
            protocol: 'openid-connect',
            protocolMapper: 'oidc-group-membership-mapper',
            config: {
              'claim.name': 'groups',
              'full.path': 'false',
              'id.token.claim': 'true',
              'access.token.claim': 'true',
            },
          },
        ],
      },
      { clientId: 'batch', secret: SECRET, serviceAccountsEnabled: true, standardFlowEnabled: false },
    ],
  }
}
