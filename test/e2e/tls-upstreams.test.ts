import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { makeCertificate, type TestCertificate } from '../support/certificates.ts'
import { startDnsServer, a } from '../support/dns-server.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'

const AUTHORITY_ID = '11111111-1111-4111-8111-111111111111'
const OTHER_AUTHORITY_ID = '22222222-2222-4222-8222-222222222222'
const MIDDLE_ID = '44444444-4444-4444-8444-444444444444'
const DEEP_CLIENT_ID = '55555555-5555-4555-8555-555555555555'
const CLIENT_ID = '33333333-3333-4333-8333-333333333333'

let gateway: Gateway
let server: Server
let deepServer: Server
const folder = mkdtempSync(path.join(tmpdir(), 'meridian-tls-'))
let dns: Awaited<ReturnType<typeof startDnsServer>>

before(async () => {
  const authority = await makeCertificate(['Test authority'], { isAuthority: true })
  const otherAuthority = await makeCertificate(['Other authority'], { isAuthority: true })
  const own = await makeCertificate(['up.test'], { issuer: authority })
  const client = await makeCertificate(['gateway.client'], { issuer: authority })
  server = await startServer(own, authority)
  const middle = await makeCertificate(['Middle'], { issuer: authority, isAuthority: true })
  const low = await makeCertificate(['Low'], { issuer: middle, isAuthority: true })
  const deep = await makeCertificate(['up.test'], { issuer: low })
  deepServer = await startServer(
    { cert: [deep, low, middle].map(({ cert }) => cert).join('\n'), key: deep.key },
    authority,
  )
  const deepClient = await makeCertificate(['deep.client'], { issuer: middle })
  const bundle = path.join(folder, 'bundle.pem')
  writeFileSync(bundle, `${otherAuthority.cert}\n${authority.cert}`)
  dns = await startDnsServer(({ name, type }) => ({ answers: type === 'A' ? [a(name, '127.0.0.1')] : [] }))
  const { port } = server.address() as AddressInfo
  const { port: deepPort } = deepServer.address() as AddressInfo
  const service = (name: string, more: object) => ({
    name,
    host: 'up.test',
    port,
    protocol: 'https',
    retries: 0,
    routes: [{ name, paths: [`/${name}`] }],
    ...more,
  })
  gateway = await startGateway({
    settings: { dns_resolver: dns.address, lua_ssl_trusted_certificate: bundle },
    declarative: {
      _format_version: '3.0',
      ca_certificates: [
        { id: AUTHORITY_ID, cert: authority.cert },
        { id: OTHER_AUTHORITY_ID, cert: otherAuthority.cert },
        { id: MIDDLE_ID, cert: middle.cert },
      ],
      certificates: [
        { id: CLIENT_ID, ...client },
        { id: DEEP_CLIENT_ID, cert: `${deepClient.cert}\n${middle.cert}`, key: deepClient.key },
      ],
      services: [
        service('unverified', {}),
        service('trusted', { tls_verify: true }),
        service('verified', { tls_verify: true, ca_certificates: [AUTHORITY_ID] }),
        service('other-authority', { tls_verify: true, ca_certificates: [OTHER_AUTHORITY_ID] }),
        service('other-name', { host: 'elsewhere.test', tls_verify: true, ca_certificates: [AUTHORITY_ID] }),
        service('other-name-unverified', { host: 'elsewhere.test', tls_verify: false }),
        service('bundled', { tls_verify: true, ca_certificates: [OTHER_AUTHORITY_ID, AUTHORITY_ID] }),
        ...[0, 1, 2, 3].map((depth) =>
          service(`depth-${depth}`, {
            port: deepPort,
            tls_verify: true,
            tls_verify_depth: depth,
            ca_certificates: [AUTHORITY_ID],
          }),
        ),
        service('depth-unverified', { port: deepPort, tls_verify: false, tls_verify_depth: 0 }),
        service('partial', { port: deepPort, tls_verify: true, tls_verify_depth: 3, ca_certificates: [MIDDLE_ID] }),
        service('deep-client', { client_certificate: { id: DEEP_CLIENT_ID } }),
        service('mutual', { client_certificate: { id: CLIENT_ID } }),
        service('pool-name', { host: 'pool', tls_verify: true, ca_certificates: [AUTHORITY_ID] }),
      ],
      upstreams: [{ name: 'pool', host_header: 'up.test', targets: [{ target: `127.0.0.1:${port}` }] }],
    },
  })
})
after(async () => {
  await gateway.stop()
  for (const one of [server, deepServer]) {
    one.closeAllConnections()
    one.close()
  }
  rmSync(folder, { recursive: true, force: true })
  await dns[Symbol.asyncDispose]()
})

/** Answers which name it was asked for and who its client says to be. */
async function startServer(own: TestCertificate, authority: TestCertificate): Promise<Server> {
  const made = createServer(
    { ...own, ca: authority.cert, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const socket = request.socket as TLSSocket & { servername?: string }
      response.end(
        JSON.stringify({
          servername: socket.servername,
          client: socket.authorized ? socket.getPeerCertificate().subject.CN : null,
          host: request.headers.host,
        }),
      )
    },
  )
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve))
  return made
}

async function get(target: string): Promise<{ status: number; json: any }> {
  const response = await fetch(gateway.proxyUrl + target, { signal: AbortSignal.timeout(10_000) })
  return { status: response.status, json: await response.json() }
}

test('an upstream is asked for by its name, and without verification by whatever certificate it has', async () => {
  const { status, json } = await get('/unverified')
  assert.equal(status, 200)
  assert.equal(json.servername, 'up.test')
  assert.equal(json.client, null)
  assert.equal((await get('/other-name-unverified')).json.servername, 'elsewhere.test')
})

test('with tls_verify, authorities of the service are believed, else those of the settings', async () => {
  assert.equal((await get('/verified')).status, 200)
  assert.equal((await get('/bundled')).status, 200)
  assert.equal((await get('/trusted')).status, 200)
})

test('tls_verify_depth bounds the certificates between the server’s and its authority’s', async () => {
  const statuses = []
  for (const depth of [0, 1, 2, 3]) statuses.push((await get(`/depth-${depth}`)).status)
  assert.deepEqual(statuses, [502, 502, 200, 200])
  assert.equal((await get('/depth-unverified')).status, 200)
})

test('an authority that is itself signed by another is no anchor', async () => {
  assert.equal((await get('/partial')).status, 502)
})

test('a client certificate goes out with those that lead to its authority', async () => {
  assert.equal((await get('/deep-client')).json.client, 'deep.client')
})

for (const [name, why] of [
  ['other-authority', 'another authority than the one that is named'],
  ['other-name', 'a certificate for another name'],
] as const) {
  test(`with tls_verify, ${why} is 502`, async () => {
    const { status, json } = await get(`/${name}`)
    assert.equal(status, 502)
    assert.equal(json.message, 'An invalid response was received from the upstream server')
  })
}

test('connections that were not verified are never used where verification is wanted', async () => {
  for (let i = 0; i < 3; i++) {
    assert.equal((await get('/other-name-unverified')).status, 200)
    assert.equal((await get('/other-name')).status, 502)
  }
})

test('the service’s client certificate is shown to the upstream, and only by that service', async () => {
  assert.equal((await get('/mutual')).json.client, 'gateway.client')
  assert.equal((await get('/unverified')).json.client, null)
  assert.equal((await get('/mutual')).json.client, 'gateway.client')
})

test('the host header of an upstream entity is the name that is asked for and verified', async () => {
  const { status, json } = await get('/pool-name')
  assert.equal(status, 200)
  assert.equal(json.servername, 'up.test')
})
