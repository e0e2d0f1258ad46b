/** Certificates of clients through a whole gateway: asked for, verified, revoked; by the plugin and by the settings. */
import assert from 'node:assert/strict'
import { connect as connectHttp2 } from 'node:http2'
import { after, before, test } from 'node:test'
import { connect, type ConnectionOptions } from 'node:tls'
import { adminCall } from '../support/admin-call.ts'
import { Authority, type Responder } from '../support/authority.ts'
import type { TestCertificate } from '../support/certificates.ts'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { locatePart, requirePart, type Program } from '../support/parts.ts'
import { runChild } from '../support/process.ts'
import { startUpstream, type Upstream } from '../support/upstream-server.ts'
import { waitUntil, within } from '../support/wait.ts'

let openssl: Program | null = null
let upstream: Upstream
let gateway: Gateway
let root: Authority
let middle: Authority
let responder: Responder
let ids: { root: string; other: string }
const closers: (() => unknown)[] = []

before(async () => {
  // Each test says that it is missing, or fails in CI.
  openssl = await locatePart('openssl').catch(() => null)
  if (openssl === null) return
  upstream = await startUpstream()
  closers.push(() => upstream.close())
  root = await Authority.create(openssl, 'Root')
  middle = await root.below('Middle')
  const other = await Authority.create(openssl, 'Other')
  closers.push(() => [root, middle, other].forEach((one) => one.remove()))
  responder = await root.startResponder()
  closers.push(() => responder.close())
  const ports = await freeGatewayPorts()
  gateway = await startGateway({
    ports,
    database: 'sqlite',
    workers: 2,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy}, 127.0.0.1:${ports.tls} ssl http2`, overload_delay: '0' },
  })
  closers.push(() => gateway.stop())
  await admin('PUT', '/services/s', { host: '127.0.0.1', port: upstream.port })
  await admin('PUT', '/routes/open', { paths: ['/open'], service: { name: 's' } })
  const made = async (cert: string) => ((await admin('POST', '/ca_certificates', { cert })) as { id: string }).id
  ids = { root: await made(root.certificate), other: await made(other.certificate) }
  await admin('PUT', '/consumers/ann', { custom_id: 'ann@custom.test' })
  await admin('PUT', '/consumers/bob', {})
  await admin('PUT', '/consumers/nobody', {})
})
after(async () => {
  for (const close of closers.toReversed()) await close()
})

const admin = (method: string, target: string, body?: object) => adminCall(gateway, method, target, body)

/** A route with the plugin, at a path of its own. */
async function guarded(path: string, config: object): Promise<void> {
  const name = path.slice(1)
  await admin('PUT', `/routes/${name}`, { paths: [path], service: { name: 's' } })
  await admin('POST', `/routes/${name}/plugins`, {
    name: 'mtls-auth',
    config: { ca_certificates: [ids.root], revocation_check_mode: 'SKIP', ...config },
  })
}

interface Answer {
  readonly status: number
  readonly message: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** One connection with one request, which shows this certificate, with those below it. */
function ask(path: string, pair: TestCertificate | null, options: ConnectionOptions = {}, port = gateway.tlsPort) {
  return within(
    'an answer',
    new Promise<Answer>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...pair, ...options })
      let text = ''
      socket.on('error', reject)
      socket.on('secureConnect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`))
      socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
      socket.on('close', () => {
        const body = text.slice(text.indexOf('\r\n\r\n') + 4)
        const parsed = (body === '' ? {} : JSON.parse(body)) as { message?: string; headers?: Record<string, string> }
        resolve({ status: Number(text.split(' ')[1]), message: parsed.message, headers: parsed.headers ?? {} })
      })
    }),
  )
}

const needed = (name: string, run: () => Promise<void>) =>
  test(name, async (t) => {
    if (await requirePart(t, 'openssl')) await run()
  })

/** Whether a client is asked, by what OpenSSL's client prints. */
async function handshakeSeen(): Promise<string> {
  const { command, env } = openssl!
  const { output } = await runChild({
    command: 'sh',
    args: ['-c', `"${command}" s_client -connect 127.0.0.1:${gateway.tlsPort} -alpn http/1.1 </dev/null 2>&1`],
    env: { ...process.env, ...env },
    timeoutMs: 20_000,
  })
  return output
}
const ASKED = /Requested Signature Algorithms/

void needed(
  'clients are asked for a certificate while there is a configuration of the plugin, and only then',
  async () => {
    assert.doesNotMatch(await handshakeSeen(), ASKED)
    await guarded('/first', { send_ca_dn: true })
    await waitUntil('clients are asked', async () => ASKED.test(await handshakeSeen()))
    // Both workers may have the connection.
    for (let i = 0; i < 6; i++)
      assert.match(await handshakeSeen(), /Acceptable client certificate CA names\nCN ?= ?Root/)
    await guarded('/second', {})
    await waitUntil('no authority is named', async () =>
      /No client certificate CA names sent/.test(await handshakeSeen()),
    )
    await admin('DELETE', '/routes/first')
    await admin('DELETE', '/routes/second')
    await waitUntil('nobody is asked', async () => !ASKED.test(await handshakeSeen()))
  },
)

void needed('a certificate of the authority lets in who it names, over each version of TLS and HTTP', async () => {
  await guarded('/named', {})
  const ann = await root.issue('ann')
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { status, headers } = await ask('/named', ann, { maxVersion })
    assert.equal(status, 200)
    assert.equal(headers['x-consumer-username'], 'ann')
    assert.equal(headers['x-credential-identifier'], 'ann')
  }
  const session = connectHttp2(gateway.tlsUrl, { rejectUnauthorized: false, ...ann })
  const text = await within(
    'an answer over HTTP/2',
    new Promise<string>((resolve, reject) => {
      session.on('error', reject)
      let all = ''
      const stream = session.request({ ':path': '/named' })
      stream.setEncoding('utf8').on('data', (part: string) => (all += part))
      stream.on('error', reject).on('end', () => resolve(all))
    }),
  )
  session.close()
  assert.equal((JSON.parse(text) as { headers: Record<string, string> }).headers['x-consumer-username'], 'ann')
  const byMail = await root.issue('whoever', { names: ['email:ann@custom.test'] })
  assert.equal((await ask('/named', byMail)).headers['x-consumer-username'], 'ann')
})

void needed('nobody else gets in', async () => {
  await guarded('/closed', {})
  const none = await ask('/closed', null)
  assert.deepEqual([none.status, none.message], [401, 'No required TLS certificate was sent'])
  const unknown = await ask('/closed', await root.issue('unknown'))
  assert.deepEqual([unknown.status, unknown.message], [401, 'TLS certificate failed verification'])
  const stranger = await Authority.create(openssl!, 'Root')
  closers.push(() => stranger.remove())
  const forged = await ask('/closed', await stranger.issue('ann'))
  assert.deepEqual([forged.status, forged.message], [401, 'TLS certificate failed verification'])
  const plain = await fetch(`${gateway.proxyUrl}/closed`)
  assert.equal(plain.status, 401)
  assert.equal((await ask('/open', null)).status, 200)
})

void needed('intermediate certificates come with the client’s, again on each connection', async () => {
  await guarded('/middle', {})
  const pair = await middle.issue('ann')
  assert.equal((await ask('/middle', pair)).status, 401)
  const chain = { cert: pair.cert + middle.certificate, key: pair.key }
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
    for (let i = 0; i < 3; i++) assert.equal((await ask('/middle', chain, { maxVersion })).status, 200)
})

void needed('a credential names the consumer of a certificate, of one authority where it says so', async () => {
  await guarded('/mapped', { consumer_by: [] })
  await admin('POST', '/consumers/bob/mtls-auth', { subject_name: 'bob@mail.test' })
  await admin('POST', '/consumers/bob/mtls-auth', {
    subject_name: 'of-other.test',
    ca_certificate: { id: ids.other },
  })
  const mail = await ask('/mapped', await root.issue('x', { names: ['email:bob@mail.test'] }))
  assert.equal(mail.headers['x-consumer-username'], 'bob')
  assert.equal(mail.headers['x-credential-identifier'], 'bob@mail.test')
  assert.equal((await ask('/mapped', await root.issue('ann'))).status, 401)
  assert.equal((await ask('/mapped', await root.issue('y', { names: ['DNS:of-other.test'] }))).status, 401)
})

void needed('without a consumer the certificate itself says who it is', async () => {
  await guarded('/itself', { skip_consumer_lookup: true })
  await admin('POST', '/routes/itself/plugins', { name: 'acl', config: { allow: ['group-a'] } })
  const { status, headers } = await ask('/itself', await root.issue('group-a', { names: ['DNS:a.test'] }))
  assert.equal(status, 200)
  assert.equal(headers['x-client-cert-dn'], 'CN=group-a')
  assert.equal(headers['x-client-cert-san'], 'DNS:a.test')
  assert.equal(headers['x-consumer-username'], undefined)
  assert.equal((await ask('/itself', await root.issue('group-b'))).status, 403)
})

void needed(
  'those who have no good certificate may be somebody anonymous, and those whom nobody knows a default',
  async () => {
    await guarded('/anonymous', { anonymous: 'nobody', default_consumer: 'bob' })
    const none = await ask('/anonymous', null)
    assert.equal(none.headers['x-consumer-username'], 'nobody')
    assert.equal(none.headers['x-anonymous-consumer'], 'true')
    const unknown = await ask('/anonymous', await root.issue('unknown'))
    assert.equal(unknown.headers['x-consumer-username'], 'bob')
    assert.equal(unknown.headers['x-anonymous-consumer'], undefined)
  },
)

void needed(
  'a certificate that is revoked by OCSP is refused, and what an unreachable or lying responder means is for the mode',
  async () => {
    await guarded('/ocsp', { revocation_check_mode: 'STRICT', cert_cache_ttl: 0, cache_ttl: 0 })
    await guarded('/lenient', { cert_cache_ttl: 0, cache_ttl: 0, revocation_check_mode: 'IGNORE_CA_ERROR' })
    const pair = await root.issue('ann', { ocspUrl: responder.url })
    const statuses = async () => [(await ask('/ocsp', pair)).status, (await ask('/lenient', pair)).status]
    assert.deepEqual(await statuses(), [200, 200])
    responder.override = () => ({ status: 503, body: Buffer.from('later') })
    assert.deepEqual(await statuses(), [401, 200])
    responder.override = (answer) => ({ status: 200, body: answer.subarray(0, answer.length - 1) })
    assert.deepEqual(await statuses(), [401, 200])
    responder.override = (answer) => {
      // The moment at which it was made is under the signature.
      const changed = Buffer.from(answer)
      changed[answer.toString('latin1').search(/\d{14}Z/) + 13]! ^= 1
      return { status: 200, body: changed }
    }
    assert.deepEqual(await statuses(), [401, 200])
    const good = await answerOf(pair)
    responder.override = null
    await root.revoke(pair)
    assert.deepEqual(await statuses(), [401, 401])
    // An answer about another certificate, and with the right signature, says nothing about this one.
    const another = await root.issue('bob', { ocspUrl: responder.url })
    responder.override = () => ({ status: 200, body: good })
    assert.equal((await ask('/ocsp', another)).status, 401)
    responder.override = null
    const silent = await root.issue('ann')
    assert.deepEqual([(await ask('/ocsp', silent)).status, (await ask('/lenient', silent)).status], [401, 200])
  },
)

/** The responder's answer for a certificate. */
async function answerOf(pair: TestCertificate): Promise<Buffer> {
  let seen: Buffer = Buffer.alloc(0)
  responder.override = (answer) => {
    seen = answer
    return { status: 200, body: answer }
  }
  assert.equal((await ask('/ocsp', pair)).status, 200)
  return seen
}

void needed('a certificate on the list of its authority is refused, and the answer is remembered', async () => {
  await guarded('/list', { revocation_check_mode: 'STRICT' })
  let list = await root.revocationList()
  let asked = 0
  await using lists = await startUpstream((_request, response) => {
    asked++
    response.end(list)
  })
  const crlUrl = `http://127.0.0.1:${lists.port}/root.crl`
  const [good, bad] = [await root.issue('ann', { crlUrl }), await root.issue('bob', { crlUrl })]
  await root.revoke(bad)
  list = await root.revocationList()
  assert.equal((await ask('/list', bad)).status, 401)
  for (let i = 0; i < 6; i++) assert.equal((await ask('/list', good)).status, 200)
  // Each of the two workers asks once for each certificate.
  assert.ok(asked <= 4, `asked ${asked} times`)
})

void needed('the settings ask for certificates, too, and let nobody in without one', async () => {
  const declarative = {
    _format_version: '3.0',
    services: [{ url: `http://127.0.0.1:${upstream.port}`, routes: [{ paths: ['/'] }] }],
  }
  const log = {
    proxy_access_log: '/dev/stdout custom',
    access_log_format: 'shown $ssl_client_verify;',
    overload_delay: '0',
  }
  const [ann, deep] = [await root.issue('ann'), await middle.issue('ann')]
  const chain = { cert: deep.cert + middle.certificate, key: deep.key }
  await using strict = await startGateway({
    declarative,
    settings: { ssl_verify_client: 'on', ssl_client_certificate: root.certificate, ssl_verify_depth: '0', ...log },
  })
  assert.equal((await ask('/', ann, {}, strict.tlsPort)).status, 200)
  for (const pair of [null, chain, await middle.issue('ann')]) {
    const outcome = await ask('/', pair, {}, strict.tlsPort).then(
      ({ status }) => status,
      () => 'cut',
    )
    assert.ok(outcome === 'cut' || Number.isNaN(outcome), String(outcome))
  }
  await using lenient = await startGateway({
    declarative,
    settings: { ssl_verify_client: 'optional', ssl_client_certificate: root.certificate, ...log },
  })
  for (const [pair, verdict] of [
    [ann, 'SUCCESS;'],
    [chain, 'SUCCESS;'],
    [null, 'NONE;'],
    [deep, 'FAILED:'],
  ] as const) {
    const after_ = lenient.child.outputLength
    assert.equal((await ask('/', pair, {}, lenient.tlsPort)).status, 200)
    await lenient.child.waitForOutput(new RegExp(`shown ${verdict}`), 10_000, after_)
  }
})
