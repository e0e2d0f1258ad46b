/** Who reaches the Admin API and who does not: pages, other names, other machines, roles. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { test } from 'node:test'
import { generate } from 'selfsigned'
import { createToken, parseAccessList } from '#admin/tokens.ts'
import { openTestAdmin } from '../support/admin.ts'

interface Raw {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly text: string
}

/** By node:http, which sends the headers that fetch keeps to itself. */
function raw(options: RequestOptions & { readonly isTls?: boolean }, body?: string): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const client = (options.isTls === true ? httpsRequest : httpRequest)(
      { host: '127.0.0.1', ...options },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }))
      },
    )
    client.setTimeout(5000, () => client.destroy(new Error('no answer within 5 s')))
    client.on('error', reject)
    client.end(body)
  })
}

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
const BODY = 'name=evil&host=evil.example'

async function isEmpty(admin: { call: (method: string, path: string) => Promise<{ json: any }> }): Promise<boolean> {
  return (await admin.call('GET', '/services')).json.data.length === 0
}

test('a form that a page posts without asking is refused, and nothing is stored', async () => {
  await using admin = await openTestAdmin()
  const { port } = admin
  const pages = [
    { Origin: 'https://evil.example' },
    { Origin: 'null' },
    { Origin: 'http://localhost:3000', 'Sec-Fetch-Site': 'same-site' },
    { 'Sec-Fetch-Site': 'cross-site' },
  ]
  for (const page of pages) {
    const answer = await raw({ port, method: 'POST', path: '/services', headers: { ...FORM, ...page } }, BODY)
    assert.equal(answer.status, 403, JSON.stringify(page))
    assert.equal(answer.headers['access-control-allow-origin'], undefined)
  }
  assert.ok(await isEmpty(admin))
})

test('a name that was made to resolve to loopback is refused, for reading too', async () => {
  await using admin = await openTestAdmin()
  for (const method of ['GET', 'POST', 'OPTIONS']) {
    const answer = await raw(
      { port: admin.port, method, path: '/services', headers: { ...FORM, Host: 'rebound.example' } },
      method === 'POST' ? BODY : undefined,
    )
    assert.equal(answer.status, 403, method)
  }
  assert.ok(await isEmpty(admin))
})

test('a page of admin_gui_url may ask first, write, and read what is answered', async () => {
  const origin = 'https://gui.example'
  await using admin = await openTestAdmin({ overrides: { guard: { origins: [origin], hosts: [] } } })
  const { port } = admin
  const asked = await raw({
    port,
    method: 'OPTIONS',
    path: '/services/x',
    headers: {
      Origin: origin,
      'Access-Control-Request-Method': 'PUT',
      'Access-Control-Request-Headers': 'content-type,kong-admin-token',
    },
  })
  assert.equal(asked.status, 204)
  assert.equal(asked.headers['access-control-allow-origin'], origin)
  assert.equal(asked.headers['access-control-allow-methods'], 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT')
  assert.equal(asked.headers['access-control-allow-headers'], 'content-type,kong-admin-token')
  const written = await raw(
    { port, method: 'POST', path: '/services', headers: { ...FORM, Origin: origin, 'Sec-Fetch-Site': 'cross-site' } },
    BODY,
  )
  assert.equal(written.status, 201)
  assert.deepEqual(
    [
      written.headers['access-control-allow-origin'],
      written.headers['access-control-allow-credentials'],
      written.headers['vary'],
      written.headers['cache-control'],
    ],
    [origin, 'true', 'Origin', 'no-store'],
  )
})

const admin = createToken('boss', 'admin', () => randomBytes(32))
const editor = createToken('ci', 'editor', () => randomBytes(32))
const viewer = createToken('dashboard', 'viewer', () => randomBytes(32))

function accessList(...lines: readonly string[]) {
  const parsed = parseAccessList(lines.join('\n'))
  assert.ok(parsed.ok)
  return parsed.list
}

// 'localhost' is no address of loopback to the server, though it is bound there: so this machine stands for another one.
const BEYOND_LOOPBACK = { address: { ip: 'localhost', port: 0 }, tls: null } as const

test('bound beyond loopback it is not opened while nobody could be told from anybody', async () => {
  await assert.rejects(openTestAdmin({ listener: BEYOND_LOOPBACK }), /admin_listen localhost:0: .*admin_token_file/)
})

test('bound beyond loopback a token is needed, and its role says what it may do', async () => {
  const access = accessList(admin.line, editor.line, viewer.line)
  await using server = await openTestAdmin({ listener: BEYOND_LOOPBACK, overrides: { access } })
  const as = async (token: string | null, method: string, path: string, body?: unknown) =>
    (await server.call(method, path, body, token === null ? {} : { 'Kong-Admin-Token': token })).status
  assert.deepEqual(
    [
      await as(null, 'GET', '/services'),
      await as('wrong', 'GET', '/services'),
      await as(null, 'GET', '/nope'),
      await as(null, 'POST', '/services', { host: 'a' }),
    ],
    [401, 401, 401, 401],
  )
  const service = { name: 's', host: 'a' }
  assert.deepEqual(
    [
      await as(viewer.token, 'GET', '/services'),
      await as(viewer.token, 'POST', '/services', service),
      await as(viewer.token, 'DELETE', '/services/s'),
      await as(viewer.token, 'POST', '/schemas/services/validate', service),
    ],
    [200, 403, 403, 200],
  )
  assert.deepEqual(
    [
      await as(editor.token, 'POST', '/services', service),
      await as(editor.token, 'PUT', '/debug/node/log-level/debug'),
    ],
    [201, 403],
  )
  assert.equal(await as(admin.token, 'PUT', '/debug/node/log-level/debug'), 200)
  assert.equal(
    (await server.call('GET', '/services/s', undefined, { Authorization: `Bearer ${viewer.token}` })).status,
    200,
  )
})

test('a viewer sees no secret, and everything else', async () => {
  await using server = await openTestAdmin({
    listener: BEYOND_LOOPBACK,
    overrides: { access: accessList(editor.line, viewer.line) },
  })
  const as = (token: string) => (method: string, path: string, body?: unknown) =>
    server.call(method, path, body, { 'Kong-Admin-Token': token })
  await as(editor.token)('PUT', '/consumers/alice', {})
  await as(editor.token)('POST', '/consumers/alice/key-auth', { key: 'top-secret-key' })
  assert.equal((await as(editor.token)('GET', '/key-auths')).json.data[0].key, 'top-secret-key')
  for (const path of ['/key-auths', '/consumers/alice/key-auth', '/log', '/log/2', '/log/diff?from=0']) {
    const answer = await as(viewer.token)('GET', path)
    assert.equal(answer.status, 200, path)
    assert.ok(!answer.text.includes('top-secret-key'), path)
  }
  assert.equal((await as(viewer.token)('GET', '/consumers/alice')).json.username, 'alice')
})

/** An authority that signed a client certificate for `ops.example`. */
function authority(name: string) {
  return generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    clientCertificate: { cn: 'ops.example', keyType: 'ec', algorithm: 'sha256' },
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, digitalSignature: true, critical: true },
    ],
  })
}

test('a client certificate that is listed is let in, one that is not or is of another authority is not', async () => {
  const [ours, theirs] = await Promise.all([authority('localhost'), authority('other')])
  const tls = { cert: [ours.cert], key: [ours.private], clientCa: ours.cert }
  const listener = { address: { ip: 'localhost', port: 0 }, tls }
  const entry = (subject: string) => accessList(JSON.stringify({ name: 'ops', role: 'editor', subject }))
  const ask = (port: number, cert?: string, key?: string) =>
    raw({
      isTls: true,
      port,
      path: '/services',
      ca: ours.cert,
      checkServerIdentity: () => undefined,
      cert,
      key,
      headers: { Host: 'localhost' },
      agent: false,
    })

  await using server = await openTestAdmin({ listener, overrides: { access: entry('ops.example') } })
  assert.equal((await ask(server.port, ours.clientcert, ours.clientprivate)).status, 200)
  assert.equal((await ask(server.port)).status, 401)
  assert.equal((await ask(server.port, theirs.clientcert, theirs.clientprivate)).status, 401)

  await using strict = await openTestAdmin({ listener, overrides: { access: entry('somebody.else') } })
  const refused = await ask(strict.port, ours.clientcert, ours.clientprivate)
  assert.equal(refused.status, 401)
  assert.match(refused.text, /ops\.example/)
})

test('who may not write is told so before the body is sent', async () => {
  await using server = await openTestAdmin({
    listener: BEYOND_LOOPBACK,
    overrides: { access: accessList(viewer.line) },
  })
  const answer = await new Promise<{ status: number; isContinued: boolean }>((resolve, reject) => {
    let isContinued = false
    const client = httpRequest({
      host: '127.0.0.1',
      port: server.port,
      method: 'POST',
      path: '/services',
      headers: {
        'Kong-Admin-Token': viewer.token,
        'Content-Type': 'application/json',
        'Content-Length': 1000,
        Expect: '100-continue',
      },
    })
    client.on('continue', () => (isContinued = true))
    client.on('response', (response) => {
      response.resume()
      resolve({ status: response.statusCode!, isContinued })
      client.destroy()
    })
    client.on('error', reject)
    client.flushHeaders()
  })
  assert.deepEqual(answer, { status: 403, isContinued: false })
})

test('a body over the limit is 413, and the server goes on', async () => {
  await using server = await openTestAdmin({ overrides: { limits: { bodyBytes: 1000 } } })
  const answer = await server.call('POST', '/services', { host: 'a', name: 'x'.repeat(2000) })
  assert.equal(answer.status, 413)
  assert.equal((await server.call('POST', '/services', { host: 'a' })).status, 201)
})
