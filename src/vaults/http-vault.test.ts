import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { createHttpVault } from './http-vault.ts'

/** Answers as https://developer.hashicorp.com/vault/api-docs/secret/kv and the pages on logging in show it. */
const seen: string[] = []
let tokens = ['root']
let leases = 3600
let answerLate = false
const server: Server = createServer((request, response) => {
  void (async () => {
    const body = await textOf(request)
    const token = request.headers['x-vault-token']
    seen.push(`${request.method} ${request.url} ${String(token)} ${body}`)
    if (answerLate) return
    const send = (status: number, json: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(typeof json === 'string' ? json : JSON.stringify(json))
    }
    if (request.url === '/v1/auth/approle/login' || request.url === '/v1/auth/own-k8s/login') {
      tokens = [`made-${seen.length}`]
      send(200, { auth: { client_token: tokens[0], lease_duration: leases } })
    } else if (!tokens.includes(String(token))) send(403, { errors: ['permission denied'] })
    else if (request.url === '/v1/secret/apps/orders') send(200, { data: { key: 'one', 'a b': 2 } })
    else if (request.url === '/v1/kv2/data/apps/orders')
      send(200, { data: { data: { key: 'newest' }, metadata: { version: 3 } } })
    else if (request.url === '/v1/kv2/data/apps/orders?version=2')
      send(200, { data: { data: { key: 'second' }, metadata: { version: 2 } } })
    else if (request.url === '/v1/secret/broken') send(200, 'secret text that is no JSON')
    else if (request.url === '/v1/secret/huge') send(200, ' '.repeat(1024 * 1024 + 1))
    else send(404, { errors: [] })
  })()
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const folder = mkdtempSync(path.join(tmpdir(), 'meridian-vault-'))
after(() => {
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of request) text += String(part)
  return text
}

let nowMs = 0
const vault = createHttpVault({
  nowMs: () => nowMs,
  follow: (text) => (text === '{vault://env/token}' ? { value: 'root' } : { value: text }),
})
const at = { host: '127.0.0.1', port: (server.address() as AddressInfo).port, token: 'root' }
const read = (config: object, resource: string, version: number | null = null, withinMs = 2000) =>
  vault.fetch({ ...at, ...config }, resource, version, AbortSignal.timeout(withinMs))

test('the members of a secret of both versions of the engine', async () => {
  assert.deepEqual(await read({}, 'apps/orders'), { value: '{"key":"one","a b":2}' })
  assert.deepEqual(await read({ token: '{vault://env/token}' }, 'apps/orders'), { value: '{"key":"one","a b":2}' })
  const second = { mount: 'kv2', kv: 'v2' }
  assert.deepEqual(await read(second, 'apps/orders'), { value: '{"key":"newest"}' })
  assert.deepEqual(await read(second, 'apps/orders', 2), { value: '{"key":"second"}' })
})

test('a failure says why, and nothing of what the vault answered', async () => {
  const reasons: [object, string, RegExp][] = [
    [{ token: 'wrong' }, 'apps/orders', /answered 403$/],
    [{ token: null }, 'apps/orders', /^token: required/],
    [{}, 'missing', /answered 404$/],
    [{}, 'broken', /^expected JSON from the vault$/],
    [{}, 'huge', /over 1048576 bytes/],
    [{ port: 1 }, 'apps/orders', /ECONNREFUSED/],
    [{ auth_method: 'kubernetes', kube_api_token_file: path.join(folder, 'missing') }, 'apps/orders', /ENOENT/],
  ]
  for (const [config, resource, reason] of reasons) {
    const fetched = await read(config, resource)
    assert.ok('reason' in fetched && reason.test(fetched.reason), JSON.stringify(fetched))
  }
  answerLate = true
  assert.match(JSON.stringify(await read({}, 'apps/orders', null, 50)), /no answer in time/)
  answerLate = false
})

test('logging in makes a token that serves until two thirds of its lease, or until it is refused', async () => {
  const config = { auth_method: 'approle', approle_role_id: 'r', approle_secret_id: 's', token: null }
  const before = seen.length
  const logins = () => seen.slice(before).filter((line) => line.includes('/login'))
  assert.deepEqual(await read(config, 'apps/orders'), { value: '{"key":"one","a b":2}' })
  await read(config, 'apps/orders')
  assert.equal(logins().length, 1)
  assert.match(logins()[0]!, /\{"role_id":"r","secret_id":"s"\}$/)
  nowMs += (leases * 1000 * 2) / 3
  await read(config, 'apps/orders')
  assert.equal(logins().length, 2)
  tokens = ['another']
  assert.match(JSON.stringify(await read(config, 'apps/orders')), /403/)
  assert.deepEqual(await read(config, 'apps/orders'), { value: '{"key":"one","a b":2}' })
  assert.equal(logins().length, 3)
})

test('in Kubernetes the token of the service account logs in', async () => {
  const file = path.join(folder, 'token')
  writeFileSync(file, 'pod-token\n')
  const config = {
    auth_method: 'kubernetes',
    kube_role: 'gateway',
    kube_auth_path: 'own-k8s',
    kube_api_token_file: file,
  }
  assert.deepEqual(await read(config, 'apps/orders'), { value: '{"key":"one","a b":2}' })
  assert.ok(seen.some((line) => line.endsWith('{"role":"gateway","jwt":"pod-token"}')))
})
