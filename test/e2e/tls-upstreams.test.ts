import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { makeCertificate, type TestCertificate } from '../support/certificates.ts'
import { startDnsServer, a } from '../support/dns-server.ts'
import { startGateway, type Gateway } from '../support/gateway.ts'

const AUTHORITY_ID = '11111111-1111-4111-8111-111111111111'
const OTHER_AUTHORITY_ID = '22222222-2222-4222-8222-222222222222'
const CLIENT_ID = '33333333-3333-4333-8333-333333333333'

let gateway: Gateway
let server: Server
let dns: Awaited<ReturnType<typeof startDnsServer>>

before(async () => {
  const authority = await makeCertificate(['Test authority'], { isAuthority: true })
  const otherAuthority = await makeCertificate(['Other authority'], { isAuthority: true })
  const own = await makeCertificate(['up.test'], { issuer: authority })
  const client = await makeCertificate(['gateway.client'], { issuer: authority })
  server = await startServer(own, authority)
  dns = await startDnsServer(({ name, type }) => ({ answers: type === 'A' ? [a(name, '127.0.0.1')] : [] }))
  const { port } = server.address() as AddressInfo
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
    settings: { dns_resolver: dns.address },
    declarative: {
      _format_version: '3.0',
      ca_certificates: [
        { id: AUTHORITY_ID, cert: authority.cert },
        { id: OTHER_AUTHORITY_ID, cert: otherAuthority.cert },
      ],
      certificates: [{ id: CLIENT_ID, ...client }],
      services: [
        service('unverified', {}),
        service('distrusted', { tls_verify: true }),
        service('verified', { tls_verify: true, ca_certificates: [AUTHORITY_ID] }),
        service('other-authority', { tls_verify: true, ca_certificates: [OTHER_AUTHORITY_ID] }),
        service('other-name', { host: 'elsewhere.test', tls_verify: true, ca_certificates: [AUTHORITY_ID] }),
        service('other-name-unverified', { host: 'elsewhere.test', tls_verify: false }),
        service('mutual', { client_certificate: { id: CLIENT_ID } }),
        service('pool-name', { host: 'pool', tls_verify: true, ca_certificates: [AUTHORITY_ID] }),
      ],
      upstreams: [{ name: 'pool', host_header: 'up.test', targets: [{ target: `127.0.0.1:${port}` }] }],
    },
  })
})
after(async () => {
  await gateway.stop()
  server.closeAllConnections()
  server.close()
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

test('with tls_verify, authorities of the service are believed', async () => {
  assert.equal((await get('/verified')).status, 200)
})

for (const [name, why] of [
  ['distrusted', 'an authority that nobody named'],
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
