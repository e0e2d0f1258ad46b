/** Certificates from a real ACME server, which looks for its challenges at the gateway, over several workers. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { startAcmeServer } from '../support/acme-server.ts'
import { adminCall } from '../support/admin-call.ts'
import { ask } from '../support/ask.ts'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { startUpstream } from '../support/upstream-server.ts'
import { waitUntil } from '../support/wait.ts'

interface Shown {
  readonly names: string | undefined
  readonly serial: string
  readonly problem: string | null
  readonly type: string | undefined
}

/** The certificate that clients of this name are shown, after a request for `/orders`. */
async function shown({ tlsPort }: Gateway, servername: string, root: string): Promise<Shown> {
  const socket = connect({ host: '127.0.0.1', port: tlsPort, servername, ca: root, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const certificate = socket.getPeerX509Certificate()!
  socket.write(`GET /orders HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`)
  let answer = ''
  socket.on('data', (bytes) => (answer += String(bytes)))
  await once(socket, 'close')
  assert.match(answer, /^HTTP\/1\.1 200 /)
  return {
    names: certificate.subjectAltName,
    serial: certificate.serialNumber.toLowerCase(),
    problem: socket.authorizationError === null ? null : String(socket.authorizationError),
    type: certificate.publicKey.asymmetricKeyType,
  }
}

const KEY_ID = 'kid-1'
const MAC_KEY = Buffer.from('a key that authority and operator share').toString('base64url')

test('certificates are got by both challenges, when asked for or when first needed, and renewed', async (t) => {
  const pebble = await requirePart(t, 'pebble')
  if (pebble === null) return
  const ports = await freeGatewayPorts()
  await using authority = await startAcmeServer(pebble, {
    httpPort: ports.proxy,
    tlsPort: ports.tls,
    external: { [KEY_ID]: MAC_KEY },
    unknown: ['nowhere.shop.example'],
    validSeconds: 20,
  })
  await using upstream = await startUpstream()
  const settings = { lua_ssl_trusted_certificate: authority.trust }
  await using gateway = await startGateway({ database: 'sqlite', workers: 2, ports, settings })
  const call = (method: string, target: string, body?: object) => adminCall(gateway, method, target, body)
  const order = (host: string) => ask(`${gateway.adminUrl}/acme`, { method: 'POST', body: { host }, timeoutMs: 60_000 })
  const root = await authority.root()
  await call('POST', '/services', { name: 's', host: '127.0.0.1', port: upstream.port })
  await call('POST', '/services/s/routes', { name: 'r', paths: ['/orders'] })
  assert.equal((await order('a.shop.example')).status, 404, 'without a plugin')
  const { id } = await call('POST', '/plugins', {
    name: 'acme',
    config: {
      account_email: 'ops@example.com',
      tos_accepted: true,
      api_uri: authority.directory,
      domains: ['*.shop.example'],
      rsa_key_size: 2048,
    },
  })

  await t.test('an authority that wants to know the operator says so', async () => {
    const refused = await order('a.shop.example')
    assert.equal(refused.status, 500)
    assert.match(refused.json.message, /^failed to update certificate: .*wants eab_kid and eab_hmac_key/)
    await call('PATCH', `/plugins/${id}`, { config: { eab_kid: KEY_ID, eab_hmac_key: MAC_KEY } })
  })

  await t.test('asked for by the operator, by http-01', async () => {
    assert.notEqual((await shown(gateway, 'a.shop.example', root)).names, 'DNS:a.shop.example')
    const created = await order('A.shop.example')
    assert.deepEqual([created.status, created.json.message], [201, 'certificate for host a.shop.example is created'])
    const got = await shown(gateway, 'a.shop.example', root)
    assert.deepEqual([got.names, got.problem, got.type], ['DNS:a.shop.example', null, 'rsa'])
    const { data } = await call('GET', '/acme/certificates/a.shop.example')
    assert.equal(data.serial_number, got.serial)
    assert.deepEqual([data.host, data.valid, data.pubkey_type], ['a.shop.example', true, 'rsaEncryption'])
    const { data: certificates } = await call('GET', '/certificates?tags=managed-by-acme')
    assert.deepEqual(
      certificates.map(({ snis }: { snis: string[] }) => snis),
      [['a.shop.example']],
    )
    const { data: log } = await call('GET', '/log?size=1000')
    assert.equal(log.filter(({ via }: { via: string }) => via === 'acme').length, 1)
  })

  await t.test('needed for the first time, by tls-alpn-01, with a key of the other kind', async () => {
    await call('PATCH', `/plugins/${id}`, { config: { challenge: 'tls-alpn-01', cert_type: 'ecc' } })
    await waitUntil('the name that clients came with has its certificate', async () => {
      const { names, problem, type } = await shown(gateway, 'b.shop.example', root)
      return names === 'DNS:b.shop.example' && problem === null && type === 'ec'
    })
    const other = await shown(gateway, 'other.example', root)
    assert.notEqual(other.names, 'DNS:other.example', 'a name that is not in the domains')
    assert.match((await order('other.example')).json.message, /not in the domains/)
  })

  await t.test('what fails is said, counted, and not tried again at once', async () => {
    const failed = await order('nowhere.shop.example')
    assert.equal(failed.status, 500)
    assert.match(failed.json.message, /^failed to update certificate: the challenge is invalid: /)
    await shown(gateway, 'nowhere.shop.example', root)
    await shown(gateway, 'c.shop.example', root)
    await waitUntil(
      'the name behind it had its turn',
      async () => (await shown(gateway, 'c.shop.example', root)).names === 'DNS:c.shop.example',
    )
    // Once by the operator here, and once before, without the key: the client that came with the name began nothing.
    const metrics = await ask(`${gateway.statusUrl}/metrics`)
    assert.match(metrics.text, /meridian_plugin_calls_total\{plugin="acme",call="order",outcome="refused"\} 2\n/)
    assert.match(metrics.text, /meridian_acme_first_expiry_seconds -?\d/)
    const secret = /PRIVATE KEY|a key that authority/
    assert.doesNotMatch(gateway.child.output, secret)
  })

  await t.test('requests for the operator are checked', async () => {
    const cases: [object, number, RegExp][] = [
      [{}, 400, /^host must be provided and containing a single domain$/],
      [{ host: ['a.shop.example'] }, 400, /^host must be provided/],
      [{ host: 'a.shop.example:80' }, 400, /^port is not allowed in host$/],
      [{ host: '127.0.0.1' }, 400, /^host must be a domain name/],
      [{ host: 'a.shop.example/../x' }, 400, /^host must be a domain name/],
      [
        { host: 'nowhere.invalid', test_http_challenge_flow: true },
        400,
        /^problem found running sanity check for nowhere/,
      ],
    ]
    for (const [body, status, message] of cases) {
      const answer = await ask(`${gateway.adminUrl}/acme`, { method: 'POST', body })
      assert.equal(answer.status, status, JSON.stringify(body))
      assert.match(answer.json.message, message)
    }
    const missing = await ask(`${gateway.adminUrl}/acme/certificates/d.shop.example`)
    assert.deepEqual(
      [missing.status, missing.json.message],
      [404, 'Certificate for host d.shop.examplenot found in storage'],
    )
    const sanity = await ask(`${gateway.proxyUrl}/.well-known/acme-challenge/x`, {
      headers: { Host: 'a.shop.example' },
    })
    assert.deepEqual([sanity.status, sanity.text], [404, 'Not found\n'])
    const others = await ask(`${gateway.proxyUrl}/.well-known/acme-challenge/x`, { headers: { Host: 'other.example' } })
    assert.match(others.text, /no Route matched/)
  })

  await t.test('renewed when it is due, in its place', async () => {
    const before = await shown(gateway, 'a.shop.example', root)
    await waitUntil('the certificate is renewed', async () => {
      assert.deepEqual(await call('PATCH', '/acme'), { message: 'Renewal process started successfully' })
      const { data } = await call('GET', '/acme/certificates/a.shop.example')
      return data.serial_number !== before.serial
    })
    await waitUntil(
      'clients see it',
      async () => (await shown(gateway, 'a.shop.example', root)).serial !== before.serial,
    )
    const { data: certificates } = await call('GET', '/certificates')
    assert.equal(certificates.length, 3)
  })
})
