/** ldap-auth against a real OpenLDAP, in the clear, with StartTLS and with LDAPS, and against servers that mean ill. */
import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { after, before, test, type TestContext } from 'node:test'
import type { Exit } from '#pdk'
import { FakeEntities, fakeExchange, fakeTools, completeConfig, headersOf } from '#pdk/testing'
import { ldapAuth } from '#plugins/ldap-auth/plugin.ts'
import { ask } from '../support/ask.ts'
import { makeCertificate, type TestCertificate } from '../support/certificates.ts'
import { startGateway } from '../support/gateway.ts'
import { requirePart } from '../support/parts.ts'
import { BASE_DN, startSlapd, type Slapd } from '../support/slapd.ts'
import { startUpstream } from '../support/upstream-server.ts'

const PEOPLE = {
  ann: 'secret',
  'jürgen ß': 'pässwörd',
  'Doe, John+x="<a>";\\#': 'odd',
  ' lead': 'space',
  '#hash': 'hash',
  colon: 'p:with:colons',
}
const NOBODY = { id: '11111111-1111-4111-8111-00000000000a', username: 'nobody', custom_id: null, tags: null }

let authority: TestCertificate
let certificate: TestCertificate
before(async () => {
  authority = await makeCertificate(['Test CA'], { isAuthority: true })
  certificate = await makeCertificate(['127.0.0.1'], { issuer: authority })
})

const open: (() => void)[] = []
after(() => {
  for (const close of open) close()
})

function instance(config: object, trusted: string | null = null) {
  const tools = fakeTools({ trusted, entities: new FakeEntities({ consumers: [NOBODY] }) })
  const whole = { ldap_host: '127.0.0.1', base_dn: BASE_DN, attribute: 'uid', cache_ttl: 0, timeout: 5000, ...config }
  const state = ldapAuth.prepare(completeConfig(ldapAuth, whole), tools)
  open.push(() => ldapAuth.close!(state))
  return async (headers: Record<string, string>) => {
    const exchange = fakeExchange({ headers })
    const exit = ((await ldapAuth.access!(exchange, state)) as Exit | undefined) ?? null
    return { status: exit?.status ?? 200, exit, exchange, sent: headersOf(exchange.request.headers) }
  }
}

const ldap = (name: string, password: string, scheme = 'ldap') =>
  `${scheme} ${Buffer.from(`${name}:${password}`).toString('base64')}`

async function slapdFor(t: TestContext, requiresTls = false): Promise<Slapd | null> {
  const program = await requirePart(t, 'slapd')
  if (program === null) return null
  const slapd = await startSlapd(program, { certificate, people: PEOPLE, requiresTls })
  t.after(() => slapd.stop())
  return slapd
}

test('whom the directory knows gets in, whatever is in the name; nobody else does', async (t) => {
  const slapd = await slapdFor(t)
  if (slapd === null) return
  const go = instance({ ldap_port: slapd.port, realm: 'r' })
  for (const [name, password] of Object.entries(PEOPLE)) {
    const { status, sent, exchange } = await go({ Authorization: ldap(name, password) })
    assert.equal(status, 200, name)
    assert.equal(sent['x-credential-identifier'], name)
    assert.equal(exchange.consumer, null)
  }
  const refused: readonly (readonly [string, string])[] = [
    ['a wrong password', ldap('ann', 'Secret')],
    ['an unknown name', ldap('bob', 'secret')],
    ['an empty password', ldap('ann', '')],
    ['no name', ldap('', 'secret')],
    ['no colon', `ldap ${Buffer.from('ann').toString('base64')}`],
    ['no base64', 'ldap !!!'],
    ['only the scheme', 'ldap'],
    ['another scheme', ldap('ann', 'secret', 'basic')],
    ['a name that would be another entry', ldap(`ann,${BASE_DN}`, 'secret')],
    ['a name that would be the manager', ldap('x,dc=test', 'manager')],
    ['a second value', ldap('ann+uid=ann', 'secret')],
    ['the zero byte', ldap('ann\0', 'secret')],
    ['a filter', ldap('*', 'secret')],
    ['a long name', ldap('a'.repeat(100_000), 'secret')],
  ]
  for (const [name, header] of refused) {
    const { status, exit } = await go({ Authorization: header })
    assert.equal(status, 401, name)
    assert.deepEqual(exit?.headers, [['WWW-Authenticate', 'LDAP realm="r"']], name)
  }
  assert.equal((await go({})).status, 401)
})

test('asks Proxy-Authorization first, and hides both headers', async (t) => {
  const slapd = await slapdFor(t)
  if (slapd === null) return
  const go = instance({ ldap_port: slapd.port, header_type: 'basic', hide_credentials: true })
  const right = ldap('ann', 'secret', 'Basic')
  for (const headers of [
    { 'Proxy-Authorization': right, Authorization: 'Bearer x' },
    { 'Proxy-Authorization': ldap('ann', 'no', 'Basic'), Authorization: right },
  ]) {
    const { status, sent } = await go(headers)
    assert.deepEqual([status, sent['authorization'], sent['proxy-authorization']], [200, undefined, undefined])
  }
  assert.deepEqual((await go({})).exit?.headers, [['WWW-Authenticate', 'basic']])
})

test('speaks TLS, from the start or by StartTLS, and verifies the server where it is told to', async (t) => {
  const slapd = await slapdFor(t, true)
  if (slapd === null) return
  const header = { Authorization: ldap('ann', 'secret') }
  assert.equal((await instance({ ldap_port: slapd.port })(header)).status, 500, 'the server wants no plain password')
  for (const security of [
    { ldaps: true, ldap_port: slapd.tlsPort },
    { start_tls: true, ldap_port: slapd.port },
  ]) {
    assert.equal((await instance(security)(header)).status, 200)
    const verifying = { ...security, verify_ldap_host: true }
    const trusting = instance(verifying, authority.cert)
    assert.equal((await trusting(header)).status, 200)
    assert.equal((await trusting(header)).status, 200, 'over the connection that was kept')
    assert.equal((await trusting({ Authorization: ldap('ann', 'no') })).status, 401)
    assert.equal((await instance(verifying)(header)).status, 500, 'nobody trusts its authority')
  }
})

test('a login is cached for its time, a wrong one never', async (t) => {
  const slapd = await slapdFor(t)
  if (slapd === null) return
  const cached = instance({ ldap_port: slapd.port, cache_ttl: 60 })
  const fresh = instance({ ldap_port: slapd.port })
  const [before_, after_] = [ldap('ann', 'secret'), ldap('ann', 'changed')]
  assert.equal((await cached({ Authorization: before_ })).status, 200)
  assert.equal((await cached({ Authorization: after_ })).status, 401)
  await slapd.setPassword('ann', 'changed')
  assert.equal((await cached({ Authorization: after_ })).status, 200)
  assert.equal((await cached({ Authorization: before_ })).status, 200)
  assert.equal((await fresh({ Authorization: before_ })).status, 401)
  await slapd.stop()
  assert.equal((await cached({ Authorization: before_ })).status, 200)
  assert.equal((await cached({ Authorization: ldap('ann', 'other') })).status, 500)
})

test('nobody passes while the directory can not be asked, also not as the anonymous consumer', async (t) => {
  const slapd = await slapdFor(t)
  if (slapd === null) return
  const go = instance({ ldap_port: slapd.port, anonymous: NOBODY.id })
  assert.equal((await go({ Authorization: ldap('ann', 'no') })).exchange.consumer?.username, 'nobody')
  await slapd.stop()
  const { status, exit } = await go({ Authorization: ldap('ann', 'secret') })
  assert.deepEqual([status, exit?.body], [500, '{"message":"An unexpected error occurred"}'])
})

/** A server that says nothing, or speaks as the test wants; counts what it got on each connection. */
async function illServer(t: TestContext, answer: (socket: Socket, bytes: Buffer) => void) {
  const got: Buffer[][] = []
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    const mine: Buffer[] = []
    got.push(mine)
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      mine.push(bytes)
      answer(socket, bytes)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as { port: number }).port, got }
}

const SUCCESS = Buffer.from('300c02010178070a010004000400', 'hex')

test('never sends a password in the clear when StartTLS is asked for, whatever the server does', async (t) => {
  const deeds: readonly (readonly [string, (socket: Socket) => void])[] = [
    ['ends after its consent', (socket) => socket.end(SUCCESS)],
    ['resets after its consent', (socket) => socket.write(SUCCESS, () => socket.resetAndDestroy())],
    ['consents and says nothing more', (socket) => socket.write(SUCCESS)],
    ['speaks no TLS', (socket) => socket.write(Buffer.concat([SUCCESS, Buffer.from('no TLS at all')]))],
    ['refuses', (socket) => socket.write(Buffer.from('300c02010178070a010204000400', 'hex'))],
  ]
  for (const [name, deed] of deeds) {
    let isFirst = true
    const server = await illServer(t, (socket) => {
      if (isFirst) deed(socket)
      isFirst = false
    })
    const { status } = await instance({ ldap_port: server.port, start_tls: true, timeout: 300 })({
      Authorization: ldap('ann', 'secret'),
    })
    assert.equal(status, 500, name)
    for (const bytes of server.got.flat()) assert.ok(!bytes.includes('secret'), `${name}: the password was sent`)
  }
})

test('a directory that does not answer costs its time-out and no more', async (t) => {
  const server = await illServer(t, () => undefined)
  // Long enough that none is over, and its place free again, before the last has begun.
  const go = instance({ ldap_port: server.port, timeout: 1000 })
  const answers = await Promise.all(Array.from({ length: 80 }, (_, n) => go({ Authorization: ldap(`a${n}`, 'x') })))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([500]))
  assert.ok(server.got.length <= 64, `${server.got.length} connections`)
})

test('garbage from the directory is no login', async (t) => {
  const replies = ['ff'.repeat(50), '3084ffffffff', '30053003020101', '300c02010161070a010104000400', '']
  for (const reply of replies) {
    const server = await illServer(t, (socket) => void socket.end(Buffer.from(reply, 'hex')))
    const { status } = await instance({ ldap_port: server.port, timeout: 300 })({ Authorization: ldap('ann', 'x') })
    assert.equal(status, 500, reply)
  }
})

test('a gateway asks the directory for its clients', async (t) => {
  const slapd = await slapdFor(t)
  if (slapd === null) return
  await using upstream = await startUpstream()
  const config = { ldap_host: 'localhost', ldap_port: slapd.port, base_dn: BASE_DN, attribute: 'uid', start_tls: true }
  const service = { name: 's', host: '127.0.0.1', port: upstream.port }
  await using gateway = await startGateway({
    declarative: {
      _format_version: '3.0',
      services: [{ ...service, routes: [{ paths: ['/'] }], plugins: [{ name: 'ldap-auth', config }] }],
    },
  })
  const get = (header: string) => ask(gateway.proxyUrl, { headers: { Authorization: header } })
  assert.equal((await get(ldap('ann', 'secret'))).status, 200)
  assert.equal(upstream.received.at(-1)?.headers['x-credential-identifier'], 'ann')
  assert.equal((await get(ldap('ann', 'no'))).status, 401)
})
