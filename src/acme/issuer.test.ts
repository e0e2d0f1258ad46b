import assert from 'node:assert/strict'
import { randomBytes, randomUUID, X509Certificate } from 'node:crypto'
import { lookup } from 'node:dns'
import { after, before, beforeEach, test } from 'node:test'
import type { CheckContext } from '#model/contract.ts'
import { DEFAULT_WORKSPACE, type Document } from '#model/document.ts'
import { coreEntities } from '#model/entities/index.ts'
import { createModel } from '#model/model.ts'
import type { ConfigStore, RuntimeStore } from '#store/contract.ts'
import { newKeyringText, parseKeyring } from '#store/keyring.ts'
import { createMemoryStore } from '#store/memory.ts'
import { createMemoryRuntimeStore } from '#store/runtime-memory.ts'
import { createWriter } from '#store/writer.ts'
import { Figures } from '#telemetry/figures.ts'
import type { AcmeConfig } from './configuration.ts'
import { CertificateIssuer } from './issuer.ts'
import { ScriptedAcmeServer, type ScriptedAnswer } from './testing.ts'

let server: ScriptedAcmeServer
before(async () => {
  server = await ScriptedAcmeServer.start()
})
beforeEach(() => {
  server.told.length = 0
  server.answers = {}
})
after(() => server.stop())

const DAY_MS = 86_400_000
const T0 = Date.parse('2030-01-01T00:00:00Z')
const PLUGIN = '00000000-0000-4000-8000-0000000000aa'

/** Nodes that share a store: each has an issuer. */
class Cluster {
  nowMs = T0
  documents: Record<string, readonly Document[]> = {}
  readonly logged: string[] = []
  readonly model = createModel({ entities: [...coreEntities], plugins: [], built: [], vaults: new Map() })
  readonly store: ConfigStore
  readonly runtime: RuntimeStore
  readonly config: AcmeConfig
  readonly #open: CertificateIssuer[] = []
  readonly #keyring = parseKeyring(newKeyringText('k', randomBytes), randomBytes)
  readonly figures = new Figures()

  constructor(config: Partial<AcmeConfig> = {}) {
    this.store = createMemoryStore({
      definitions: this.model,
      keyring: this.#keyring,
      nowMs: () => this.nowMs,
    })
    this.runtime = createMemoryRuntimeStore({ nowMs: () => this.nowMs })
    this.config = {
      account_email: 'ops@example.com',
      api_uri: server.at('/dir'),
      tos_accepted: true,
      cert_type: 'ecc',
      rsa_key_size: 2048,
      renew_threshold_days: 14,
      domains: ['*.example'],
      allow_any_domain: false,
      fail_backoff_minutes: 5,
      challenge: 'http-01',
      ...config,
    }
    server.valid = { fromMs: T0, toMs: T0 + 90 * DAY_MS }
  }

  get check(): CheckContext {
    return { nowMs: this.nowMs, uuid: randomUUID, randomText: () => 'text', routerFlavor: 'traditional_compatible' }
  }

  node(): CertificateIssuer {
    const log = (_fields: object, message: string) => void this.logged.push(message)
    const issuer = new CertificateIssuer({
      instances: () => [{ id: PLUGIN, workspace: DEFAULT_WORKSPACE, config: this.config }],
      documents: (kind) => this.documents[kind] ?? [],
      state: this.store,
      model: this.model,
      writer: createWriter({
        store: this.store,
        definitions: this.model,
        keyring: this.#keyring,
        nowMs: () => this.nowMs,
        uuid: randomUUID,
        random: () => 0.5,
        delay: async () => undefined,
      }),
      check: () => this.check,
      runtime: this.runtime,
      figures: this.figures,
      log: { error: log, warn: log, info: log, debug: log },
      lookup,
      trusted: null,
      nowMs: () => this.nowMs,
    })
    this.#open.push(issuer)
    return issuer
  }

  async put(kind: string, input: Readonly<Record<string, unknown>>): Promise<Document> {
    const made = this.model.insert(kind, input, this.check)
    assert.ok(made.ok, JSON.stringify(made))
    const { revision } = await this.store.head()
    const operations = [{ op: 'put', kind, workspace: DEFAULT_WORKSPACE, document: made.document }] as const
    const origin = { actor: 'test', via: 'test' }
    await this.store.append({ txid: randomUUID(), operations, origin, atMs: this.nowMs }, revision)
    return made.document
  }

  async rows(kind: string): Promise<readonly Document[]> {
    return (await this.store.list(kind, {}, { size: 100 })).rows.map(({ document }) => document)
  }

  async serial(): Promise<string> {
    const [certificate] = await this.rows('certificates')
    return new X509Certificate(String(certificate!['cert'])).serialNumber
  }

  /** Outcomes of orders as the metrics have them. */
  get orders(): Record<string, number> {
    const rows = this.figures.report()['meridian_plugin_calls_total'] ?? []
    return Object.fromEntries(rows.map(([[, , outcome], count]) => [outcome!, count]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const issuer of this.#open) await issuer.close()
  }
}

const told = (path: string) => server.told.filter((each) => each.path === path)

test('a certificate is ordered, proved, written with its name, and nothing is left of the challenge', async () => {
  await using cluster = new Cluster()
  let seen: unknown
  const issuer = cluster.node()
  server.answers['/challenge'] = async () => {
    seen = await cluster.runtime.get('acme/http-01', 'the-token')
    return { body: {} }
  }
  const obtained = await issuer.obtain('a.example', { isForced: true })
  assert.equal(obtained.is, 'issued', JSON.stringify(obtained))
  assert.match(String(seen), /^the-token\.[\w-]{43}$/)
  assert.equal(await cluster.runtime.get('acme/http-01', 'the-token'), undefined)
  const [sni] = await cluster.rows('snis')
  const [certificate] = await cluster.rows('certificates')
  assert.deepEqual(
    [sni!['name'], sni!['tags'], certificate!['tags']],
    ['a.example', ['managed-by-acme'], ['managed-by-acme']],
  )
  assert.deepEqual(sni!['certificate'], { id: certificate!.id })
  const [account] = told('/account')
  assert.deepEqual(account!.payload, { contact: ['mailto:ops@example.com'], termsOfServiceAgreed: true })
  assert.equal((account!.head['jwk'] as { d?: string }).d, undefined, 'the private part of the key')
  assert.equal(told('/order')[0]!.head['kid'], server.at('/account/1'))
  assert.deepEqual(told('/order')[0]!.payload, { identifiers: [{ type: 'dns', value: 'a.example' }] })
  assert.equal(new Set(server.told.map(({ head }) => head['nonce'])).size, server.told.length, 'a nonce is used once')
})

test('of several nodes one orders, and the account is the same for all', async () => {
  await using cluster = new Cluster()
  const nodes = [cluster.node(), cluster.node(), cluster.node()]
  const outcomes = await Promise.all(nodes.map((node) => node.obtain('a.example', { isForced: false })))
  assert.deepEqual(outcomes.map(({ is }) => is).toSorted(), ['busy', 'busy', 'issued'])
  assert.equal(told('/order').length, 1)
  assert.deepEqual((await nodes[1]!.obtain('a.example', { isForced: false })).is, 'present')
  assert.equal((await nodes[1]!.obtain('b.example', { isForced: false })).is, 'issued')
  const keys = told('/account').map(({ head }) => JSON.stringify(head['jwk']))
  assert.deepEqual([keys.length, new Set(keys).size], [2, 1])
})

test('what is due is renewed in its place, by one node, and not again by an old copy', async () => {
  await using cluster = new Cluster()
  const [one, other] = [cluster.node(), cluster.node()]
  await one.obtain('a.example', { isForced: false })
  const first = await cluster.serial()
  await one.renew()
  cluster.nowMs = T0 + 75 * DAY_MS
  await one.renew()
  assert.equal(await cluster.serial(), first, 'not due yet')
  cluster.nowMs = T0 + 77 * DAY_MS
  server.valid = { fromMs: cluster.nowMs, toMs: cluster.nowMs + 90 * DAY_MS }
  await Promise.all([one.renew(), other.renew()])
  assert.notEqual(await cluster.serial(), first)
  assert.equal((await cluster.rows('certificates')).length, 1)
  assert.equal(told('/order').length, 2)
  // The other node still sees a certificate that is due.
  cluster.nowMs += 80 * DAY_MS
  await cluster.runtime.put('acme/settled', 'a.example', true, 1000)
  await other.renew()
  assert.equal(told('/order').length, 2)
  cluster.nowMs += 1000
  await other.renew()
  assert.equal(told('/order').length, 3)
})

test('a certificate that an operator brought is not renewed, and stays when another takes its name', async () => {
  await using cluster = new Cluster()
  const issuer = cluster.node()
  await issuer.obtain('theirs.example', { isForced: true })
  const [made] = await cluster.rows('certificates')
  // The same without the mark, for two names.
  const own = await cluster.put('certificates', { cert: made!['cert'], key: made!['key'] })
  await cluster.put('snis', { name: 'b.example', certificate: { id: own.id } })
  await cluster.put('snis', { name: 'c.example', certificate: { id: own.id } })
  cluster.nowMs = T0 + 89 * DAY_MS
  server.told.length = 0
  await issuer.renew()
  assert.deepEqual(
    told('/order').map(({ payload }) => payload),
    [{ identifiers: [{ type: 'dns', value: 'theirs.example' }] }],
  )
  assert.equal((await issuer.obtain('b.example', { isForced: true })).is, 'issued')
  const names = new Map((await cluster.rows('snis')).map((sni) => [sni['name'], (sni['certificate'] as Document).id]))
  assert.equal(names.get('c.example'), own.id)
  assert.notEqual(names.get('b.example'), own.id)
  assert.ok((await cluster.rows('certificates')).some(({ id }) => id === own.id))
})

test('after a failure nobody tries again for a while, unless told to', async () => {
  await using cluster = new Cluster()
  server.answers['/order'] = {
    status: 429,
    body: { type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many' },
  }
  const [one, other] = [cluster.node(), cluster.node()]
  const failed = await one.obtain('a.example', { isForced: false })
  assert.match(failed.is === 'failed' ? failed.problem : '', /answered 429: rateLimited: too many$/)
  assert.equal((await other.obtain('a.example', { isForced: false })).is, 'resting')
  other.want('a.example')
  assert.equal((await other.obtain('b.example', { isForced: false })).is, 'failed')
  assert.equal(told('/order').length, 2)
  assert.equal((await other.obtain('a.example', { isForced: true })).is, 'failed')
  cluster.nowMs += 5 * 60_000
  assert.equal((await other.obtain('a.example', { isForced: false })).is, 'failed')
  assert.deepEqual(cluster.orders, { refused: 4 })
  server.answers = {}
  cluster.nowMs += 5 * 60_000
  assert.equal((await one.obtain('a.example', { isForced: false })).is, 'issued')
})

test('who gets a certificate after a failure does not rest when it is due', async () => {
  await using cluster = new Cluster({ fail_backoff_minutes: 1e6 })
  server.answers['/order'] = { status: 400, body: {} }
  const issuer = cluster.node()
  assert.equal((await issuer.obtain('a.example', { isForced: false })).is, 'failed')
  server.answers = {}
  assert.equal((await issuer.obtain('a.example', { isForced: true })).is, 'issued')
  cluster.nowMs += 80 * DAY_MS
  await issuer.renew()
  assert.equal(told('/order').length, 3)
})

test('only names that are allowed, and are names, are ordered', async () => {
  await using cluster = new Cluster()
  for (const name of ['a.org', 'example', '*.example', '127.0.0.1', 'a b.example', 'a.example:80', ''])
    assert.equal((await cluster.node().obtain(name, { isForced: true })).is, 'not_allowed', name)
  assert.equal(server.told.length, 0)
})

test('the key of the account may be an entity, and the account one that the authority knows', async () => {
  const { generateKeyPairSync } = await import('node:crypto')
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await using cluster = new Cluster({
    account_key: { key_id: 'k1', key_set: 'acme' },
    eab_kid: 'kid-1',
    eab_hmac_key: Buffer.from('short').toString('base64url'),
  })
  const pem = { private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) }
  cluster.documents = {
    key_sets: [{ id: 's1', name: 'acme' }],
    keys: [
      { id: '1', kid: 'k1', set: { id: 'another' }, pem: { private_key: 'no key' } },
      { id: '2', kid: 'k1', set: { id: 's1' }, pem },
    ],
  }
  assert.equal((await cluster.node().obtain('a.example', { isForced: true })).is, 'issued')
  const [account] = told('/account')
  assert.equal(account!.head['alg'], 'RS256')
  const bound = (account!.payload as { externalAccountBinding: Record<string, string> }).externalAccountBinding
  const decoded = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString()) as object
  assert.deepEqual(decoded(bound['protected']!), { alg: 'HS256', kid: 'kid-1', url: server.at('/account') })
  assert.deepEqual(decoded(bound['payload']!), account!.head['jwk'])
  cluster.documents = {}
  const failed = await cluster.node().obtain('b.example', { isForced: true })
  assert.match(failed.is === 'failed' ? failed.problem : '', /^account_key: expected a private key with the kid 'k1'/)
})

const challenge = (change: object) => ({
  body: { status: 'pending', challenges: [{ type: 'http-01', token: 't', url: server.at('/challenge'), ...change }] },
})
const malformed: [string, () => Record<string, ScriptedAnswer>, RegExp][] = [
  ['no directory', () => ({ '/dir': { status: 500, body: 'broken' } }), /\/dir answered 500$/],
  ['a directory that is no JSON', () => ({ '/dir': { body: '<html>' } }), /expected an address, got undefined/],
  ['a directory of other things', () => ({ '/dir': { body: { newNonce: 7 } } }), /expected an address, got 7/],
  ['a redirect', () => ({ '/dir': { status: 302, headers: { location: '/other' } } }), /answered 302$/],
  ['a file as address', () => ({ '/dir': { body: { newNonce: 'file:///etc/passwd' } } }), /expected an address/],
  ['no account', () => ({ '/account': { status: 200, body: {} } }), /named no account$/],
  ['too much', () => ({ '/dir': { body: 'x'.repeat(600_000) } }), /more than 524288 bytes$/],
  [
    'nonces that are never good',
    () => ({ '/order': { status: 400, body: { type: 'urn:ietf:params:acme:error:badNonce' } } }),
    /badNonce: no reason is given$/,
  ],
  [
    'an order without anything',
    () => ({ '/order': { status: 201, headers: { location: '/order/1' }, body: {} } }),
    /names no authorizations$/,
  ],
  ['an order without address', () => ({ '/order': { status: 201, body: {} } }), /expected an address, got undefined/],
  [
    'no challenge',
    () => ({ '/authz': { body: { status: 'pending' } } }),
    /expected the challenge http-01, the server offers none$/,
  ],
  ['another challenge', () => ({ '/authz': challenge({ type: 'dns-01' }) }), /the server offers dns-01$/],
  ['a token that is a path', () => ({ '/authz': challenge({ token: '../../x' }) }), /the server offers http-01$/],
  ['a token that is a line', () => ({ '/authz': challenge({ token: 'a\r\nb' }) }), /the server offers http-01$/],
  ['a refusal', () => ({ '/authz': { body: { status: 'invalid' } } }), /offers none$/],
  [
    'an order that is refused',
    () => ({ '/order/1': { body: { status: 'invalid', error: { detail: 'no' } } } }),
    /^the order is invalid: no$/,
  ],
  ['no certificate', () => ({ '/cert': { body: 'nothing' } }), /no certificate for the key$/],
]
for (const [name, answers, problem] of malformed) {
  test(`a server that answers with ${name} is told apart, and the lease is given back`, async () => {
    await using cluster = new Cluster({ fail_backoff_minutes: 0 })
    server.answers = answers()
    const failed = await cluster.node().obtain('a.example', { isForced: false })
    assert.match(failed.is === 'failed' ? failed.problem : failed.is, problem)
    server.answers = {}
    server.told.length = 0
    assert.equal((await cluster.node().obtain('a.example', { isForced: false })).is, 'issued')
  })
}

test('a certificate for another key is not written', async () => {
  await using cluster = new Cluster()
  const issuer = cluster.node()
  await issuer.obtain('a.example', { isForced: true })
  const [first] = await cluster.rows('certificates')
  server.answers['/cert'] = { body: String(first!['cert']) }
  const failed = await issuer.obtain('a.example', { isForced: true })
  assert.match(failed.is === 'failed' ? failed.problem : failed.is, /no certificate for the key$/)
})

test('a store that fails is no crash, and closing ends what is under way', async () => {
  await using cluster = new Cluster()
  const issuer = cluster.node()
  const { get } = cluster.runtime
  cluster.runtime.get = async () => {
    throw new Error('the store is unreachable')
  }
  assert.equal((await issuer.obtain('a.example', { isForced: false })).is, 'failed')
  cluster.runtime.get = get
  server.answers['/dir'] = async () => {
    void issuer.close()
    return { status: 500 }
  }
  assert.deepEqual(await issuer.obtain('a.example', { isForced: true }), {
    is: 'failed',
    problem: 'the gateway is stopping',
  })
  issuer.want('b.example')
  await issuer.close()
  assert.equal(told('/order').length, 0)
  server.answers = {}
  assert.equal(
    (await cluster.node().obtain('a.example', { isForced: false })).is,
    'issued',
    'nobody has to wait for that',
  )
})
