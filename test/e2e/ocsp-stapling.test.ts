/** Answers of a real OCSP responder, stapled by a whole gateway; judged by OpenSSL's client. */
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { adminCall } from '../support/admin-call.ts'
import { Authority, type Responder } from '../support/authority.ts'
import { freeGatewayPorts, startGateway, type Gateway } from '../support/gateway.ts'
import { locatePart, requirePart, type Program } from '../support/parts.ts'
import { runChild } from '../support/process.ts'
import { waitUntil, within } from '../support/wait.ts'

let openssl: Program | null = null
let gateway: Gateway
let root: Authority
let responder: Responder
const closers: (() => unknown)[] = []
const MUST_STAPLE = 'tlsfeature=status_request'

before(async () => {
  openssl = await locatePart('openssl').catch(() => null)
  if (openssl === null) return
  root = await Authority.create(openssl, 'Root')
  closers.push(() => root.remove())
  responder = await root.startResponder()
  closers.push(() => responder.close())
})
after(async () => {
  for (const close of closers.toReversed()) await close()
})

const needed = (name: string, run: () => Promise<void>) =>
  test(name, async (t) => {
    if (await requirePart(t, 'openssl')) await run()
  })

/** What OpenSSL's client says of the staple that it gets, once it has verified it. */
async function stapled(port: number, servername: string): Promise<string> {
  const { command, env } = openssl!
  const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', servername, '-status', '-CAfile', 'ca.pem']
  const { output } = await runChild({
    command,
    args,
    cwd: root.folder,
    env: { ...process.env, ...env },
    name: 'openssl s_client',
    timeoutMs: 10_000,
  })
  return /OCSP response: no response sent/.test(output) ? 'none' : (/Cert Status: (\w+)/.exec(output)?.[1] ?? output)
}

/** The staple itself, as Node's client hands it on. */
function stapleOf(port: number, servername: string): Promise<Buffer | null> {
  return within(
    'a handshake',
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', servername, ca: root.certificate, requestOCSP: true })
      socket.on('error', reject)
      socket.on('OCSPResponse', (answer: Buffer | null) => {
        resolve(answer)
        socket.destroy()
      })
    }),
  )
}

const metric = async (line: string): Promise<number> => {
  const page = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  return Number(
    page
      .split('\n')
      .find((one) => one.startsWith(`${line} `))
      ?.slice(line.length + 1) ?? Number.NaN,
  )
}

void needed('certificates go out with what their responder says of them, and never wait for it', async () => {
  const withIssuer = async (name: string, extension: string[] = []) => {
    const pair = await root.issue(name, {
      extensions: [
        `subjectAltName=DNS:${name}`,
        `authorityInfoAccess=OCSP;URI:${responder.url}`,
        'authorityKeyIdentifier=keyid',
        ...extension,
      ],
    })
    return { ...pair, cert: pair.cert + root.certificate }
  }
  const [fallback, named, must, plain] = [
    await withIssuer('fallback.test'),
    await withIssuer('named.test'),
    await withIssuer('must.test', [MUST_STAPLE]),
    await root.issue('plain.test', { names: ['DNS:plain.test'] }),
  ]
  writeFileSync(root.file('fallback.pem'), fallback.cert)
  writeFileSync(root.file('fallback.key'), fallback.key)
  const ports = await freeGatewayPorts()
  const stream = await freeGatewayPorts()
  const settings = {
    ssl_stapling: 'on',
    ssl_cert: root.file('fallback.pem'),
    ssl_cert_key: root.file('fallback.key'),
    stream_listen: `127.0.0.1:${stream.tls} ssl`,
    overload_delay: '0',
  }
  const start = () => startGateway({ ports, database: 'sqlite', workers: 2, settings, prefix: root.file('prefix') })
  gateway = await start()
  let isClosed = false
  closers.push(() => (isClosed ? undefined : gateway.stop()))
  const admin = (method: string, target: string, body?: object) => adminCall(gateway, method, target, body)
  const certificate = async (pair: object, snis: string[]) =>
    ((await admin('POST', '/certificates', { ...pair, snis })) as { id: string }).id

  // A responder that is silent holds up no handshake.
  const held: (() => void)[] = []
  responder.delay = () => new Promise((resolve) => held.push(resolve))
  await certificate(must, ['must.test'])
  assert.equal(await stapled(gateway.tlsPort, 'must.test'), 'none')
  await certificate(named, ['named.test'])
  await certificate(plain, ['plain.test'])
  await waitUntil('it is asked', () => responder.asked() >= 3)
  responder.delay = null
  for (const answer of held) answer()

  for (const name of ['must.test', 'named.test', 'fallback.test']) {
    await waitUntil(`${name} is stapled`, async () => (await stapled(gateway.tlsPort, name)) === 'good')
    assert.equal(await stapled(stream.tls, name), 'good')
  }
  assert.equal(await stapled(gateway.tlsPort, 'plain.test'), 'none')
  assert.equal(await metric('meridian_ocsp_staples{state="current"}'), 3)
  assert.ok((await metric('meridian_ocsp_staple_end_seconds')) > Date.now() / 1000)
  assert.equal(await metric('meridian_ocsp_answers_total{outcome="good"}'), 3)

  // Every worker has it: connections are spread over both.
  for (let i = 0; i < 8; i++) assert.ok((await stapleOf(gateway.tlsPort, 'named.test')) !== null)

  // A start while the responder is away begins with what was stored.
  await gateway.stop()
  responder.override = () => ({ status: 503, body: Buffer.from('later') })
  gateway = await start()
  assert.equal(await stapled(gateway.tlsPort, 'must.test'), 'good')
  assert.equal(readdirSync(path.join(root.file('prefix'), 'staples')).length, 3)

  // One that is revoked meanwhile, and is new to this node, is not stapled, and said to be revoked.
  responder.override = null
  const bad = await withIssuer('bad.test')
  await root.revoke(bad)
  await certificate(bad, ['bad.test'])
  await gateway.child.waitForOutput(/a certificate that is served is revoked/, 10_000)
  assert.equal(await stapled(gateway.tlsPort, 'bad.test'), 'none')
  assert.equal(await metric('meridian_ocsp_staples{state="revoked"}'), 1)
  await gateway.stop()
  isClosed = true
})
