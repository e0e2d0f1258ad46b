import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { defineEntity, definePluginSchema, t, type EntityDefinition, type PluginSchema } from '#model/schema.ts'
import { plugins } from '#model/entities/plugin.ts'
import { parseKeyring } from './keyring.ts'
import { REDACTED, Secrets } from './secrets.ts'

const webhook = definePluginSchema({
  name: 'webhook',
  priority: 1,
  version: '1',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: [], allowed: [] },
  config: {
    url: t.string(),
    secret: t.string({ encrypted: true }),
    redis: t.record({ host: t.string(), password: t.string({ encrypted: true }) }),
    targets: t.array(t.record({ name: t.string(), token: t.string({ encrypted: true }) })),
  },
})
const things = defineEntity({
  kind: 'things',
  about: 'Secrets of every form.',
  fields: {
    id: t.uuid(),
    whole: t.record({ any: t.string() }, { encrypted: true }),
    number: t.integer({ encrypted: true }),
    map: t.map(t.string(), t.record({ key: t.string({ encrypted: true }) })),
    plain: t.map(t.string(), t.string()),
  },
})
const keyring = parseKeyring(`k1:${Buffer.alloc(32, 1).toString('base64')}`, randomBytes)
const secrets = new Secrets(
  {
    entities: new Map<string, EntityDefinition>([
      ['plugins', plugins],
      ['things', things],
    ]),
    plugins: new Map<string, PluginSchema>([['webhook', webhook]]),
    vaults: new Map(),
  },
  keyring,
)

const plugin = {
  id: 'p',
  name: 'webhook',
  config: {
    url: 'http://a.test',
    secret: 's3cret',
    redis: { host: 'r', password: 's3cret' },
    targets: [
      { name: 'n', token: 's3cret' },
      { name: 'm', token: null },
    ],
  },
}
const thing = {
  id: 't',
  whole: { any: 's3cret' },
  number: 42,
  map: { a: { key: 's3cret' } },
  plain: { a: 'b', $sealed: 'k1:AAAA' },
}

test('seals what the schema of a plugin marks, at any depth, and opens it again', () => {
  const sealed = secrets.seal('plugins', plugin)
  assert.doesNotMatch(JSON.stringify(sealed), /s3cret/)
  assert.match(JSON.stringify(sealed), /http:\/\/a\.test.*"host":"r".*"name":"n".*"token":null/)
  assert.deepEqual(secrets.open('plugins', sealed), plugin)
})

test('seals whole records, numbers and members of maps, and nothing else', () => {
  const sealed = secrets.seal('things', thing)
  assert.doesNotMatch(JSON.stringify(sealed), /s3cret/)
  assert.deepEqual(Object.keys(sealed.number as object), ['$sealed'])
  assert.deepEqual((sealed as unknown as typeof thing).plain, thing.plain)
  assert.deepEqual(secrets.open('things', sealed), thing)
})

test('leaves references to vaults readable everywhere', () => {
  const referring = { ...plugin, config: { ...plugin.config, secret: '{vault://env/secret}' } }
  for (const shown of [secrets.seal('plugins', referring), secrets.redact('plugins', referring)]) {
    assert.equal((shown.config as { secret: unknown }).secret, '{vault://env/secret}')
  }
  const pretending = { ...plugin, config: { ...plugin.config, secret: '{vault://no end' } }
  assert.doesNotMatch(JSON.stringify(secrets.seal('plugins', pretending)), /no end/)
})

test('stars out secrets of open and of sealed documents', () => {
  for (const document of [plugin, secrets.seal('plugins', plugin)]) {
    const shown = secrets.redact('plugins', document)
    assert.doesNotMatch(JSON.stringify(shown), /s3cret|sealed/)
    assert.deepEqual((shown.config as typeof plugin.config).redis, { host: 'r', password: REDACTED })
  }
})

test('leaves a document whose plugin is not known as it is, and passes values on that were stored before they were secrets', () => {
  const unknown = { ...plugin, name: 'gone' }
  assert.deepEqual(secrets.seal('plugins', unknown), unknown)
  assert.deepEqual(secrets.open('plugins', plugin), plugin)
})

test('a value sealed under one id or path does not open under another', () => {
  const sealed = secrets.seal('plugins', plugin) as unknown as typeof plugin
  assert.throws(() => secrets.open('plugins', { ...sealed, id: 'q' }), { code: 'KEY_WRONG' })
  const [first, second] = sealed.config.targets
  assert.throws(() => secrets.open('plugins', { ...sealed, config: { ...sealed.config, targets: [second, first] } }), {
    code: 'KEY_WRONG',
  })
})

test('follows a log with documents of kinds that are no longer defined, and shows nothing of them', () => {
  const document = { id: 'x', secret: { $sealed: 'k1:AAAA' }, note: 's3cret' }
  assert.deepEqual(secrets.open('gone', document), document)
  assert.deepEqual(secrets.redact('gone', document), { id: 'x' })
  assert.throws(() => secrets.seal('gone', document), TypeError)
})
