import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change } from '#model/document.ts'
import { t } from '#model/schema.ts'
import { testModel } from '#model/testing.ts'
import { pluginSchemas } from '#plugins/schemas.ts'
import type { ConfigStore, LogEntry } from '#store/contract.ts'
import { SecretCache } from '#vaults/secret-cache.ts'
import { Publisher } from './publisher.ts'
import { References } from './references.ts'
import type { ToldUpdate } from './update.ts'

/** Nothing can be read but the environment. */
function noSecrets(): SecretCache {
  const log = { warn() {}, info() {} }
  return new SecretCache({ vaults: new Map(), nowMs: () => 0, log, onChanged() {} })
}

const fields = {
  config: t.record({
    secret: t.string({ referenceable: true }),
    plain: t.string(),
    list: t.array(t.string({ referenceable: true })),
    map: t.map(t.string(), t.string({ referenceable: true })),
    inner: t.record({ deep: t.string({ referenceable: true }) }),
  }),
}

function bed(environment: Record<string, string>) {
  const warnings: string[] = []
  const references = new References({
    fieldsOf: () => fields,
    environment,
    withheld: 'KEYRING',
    secrets: noSecrets(),
    log: { warn: (logged, message) => warnings.push(`${message}: ${(logged as { reason: string }).reason}`) },
  })
  const resolve = (config: object) =>
    references.resolve(change('plugins', 'p', { config })).document!['config'] as Record<string, unknown>
  return { references, warnings, resolve }
}

function change(kind: string, id: string, more: object | null): Change {
  return { kind, workspace: 'w', id, document: more === null ? null : { id, ...more } }
}

const ownVault = (prefix: string | null) => ({ id: 'v', prefix: 'own', name: 'env', config: { prefix } })

test('a reference in a field that may have one becomes the value of the variable, wherever the field stands', () => {
  const { resolve, warnings } = bed({ MY_VAR: 'hush' })
  const secret = '{vault://env/my-var}'
  assert.deepEqual(
    resolve({ secret, plain: secret, list: ['a', secret], map: { k: secret }, inner: { deep: secret } }),
    { secret: 'hush', plain: secret, list: ['a', 'hush'], map: { k: 'hush' }, inner: { deep: 'hush' } },
  )
  assert.deepEqual(warnings, [])
})

test('a document without references stays the same object, and what is given is never changed', () => {
  const { references } = bed({ A: 'x' })
  const plain = change('plugins', 'p', { config: { secret: 'a' } })
  assert.equal(references.resolve(plain), plain)
  const gone = change('plugins', 'p', null)
  assert.equal(references.resolve(gone), gone)
  const given = change('plugins', 'p', { config: { secret: '{vault://env/a}' } })
  const before = structuredClone(given)
  references.resolve(given)
  assert.deepEqual(given, before)
})

test('vault entities put their prefix in front, a reference’s own goes before it', () => {
  const { references, resolve } = bed({ SAFE_KEY: 'one', OTHER_KEY: 'two', KEY: 'three', KEY_PREVIOUS: 'four' })
  references.setVaults([ownVault('safe-')])
  const list = [
    '{vault://own/key}',
    '{vault://own/key?prefix=other_}',
    '{vault://env/key}',
    '{vault://env/key#2}',
    '{vault://env/key#1}',
  ]
  assert.deepEqual(resolve({ list })['list'], ['one', 'two', 'three', 'four', 'three'])
})

test('a member of a JSON object is taken by its name', () => {
  const { resolve } = bed({ DB: '{"password": "hush", "port": 5, "on": false}' })
  const list = ['password', 'port', 'on'].map((key) => `{vault://env/db/${key}}`)
  assert.deepEqual(resolve({ list })['list'], ['hush', '5', 'false'])
})

test('a reference that leads nowhere is empty, and told once until it has led somewhere', () => {
  const environment: Record<string, string> = { TEXT: 'not json', OBJECT: '{"a": {}}' }
  const { resolve, warnings } = bed(environment)
  const list = [
    '{vault://env/missing}',
    '{vault://nobody/a}',
    '{vault://env/text/a}',
    '{vault://env/object/a}',
    '{vault://env/object/toString}',
    '{vault://env}',
  ]
  for (let i = 0; i < 2; i++) assert.deepEqual(resolve({ list })['list'], ['', '', '', '', '', ''])
  assert.deepEqual(
    warnings.map((text) => text.replace('a vault reference leads nowhere: ', '')),
    [
      'the environment variable MISSING is not set',
      'there is no vault of that prefix',
      'the value is not JSON',
      'expected a text below "a" in the JSON object',
      'expected a text below "toString" in the JSON object',
      'expected {vault://name/resource}',
    ],
  )
  environment['MISSING'] = 'x'
  resolve({ list: [list[0]] })
  delete environment['MISSING']
  resolve({ list: [list[0]] })
  assert.equal(warnings.length, 7)
})

test('the configuration of a plugin and a certificate have references where their definitions say so', () => {
  const model = testModel(pluginSchemas)
  const log = { warn: () => assert.fail('every reference leads somewhere') }
  const references = new References({ fieldsOf: model.fieldsOf, environment: { A: 'hush' }, log, secrets: noSecrets() })
  const secret = '{vault://env/a}'
  const config = { http_endpoint: secret, method: 'POST', headers: { authorization: secret } }
  const plugin = references.resolve(change('plugins', 'p', { name: 'http-log', config })).document!
  assert.deepEqual(plugin['config'], { http_endpoint: 'hush', method: 'POST', headers: { authorization: 'hush' } })
  const certificate = { cert: secret, key: secret, tags: [secret] }
  assert.partialDeepStrictEqual(references.resolve(change('certificates', 'c', certificate)).document, {
    cert: 'hush',
    key: 'hush',
    tags: [secret],
  })
})

test('no reference reaches the keyring', () => {
  const { resolve, warnings } = bed({ KEYRING: 'hush', KEYRINGS: 'other' })
  assert.deepEqual(
    resolve({ list: ['{vault://env/keyring}', '{vault://env/ring?prefix=key}', '{vault://env/keyrings}'] })['list'],
    ['', '', 'other'],
  )
  assert.equal(warnings.length, 2)
})

test('workers get the secret, what the node holds keeps the reference, and a vault that changes is told with what refers to it', async () => {
  const { references } = bed({ A_KEY: 'one', B_KEY: 'two' })
  const told: ToldUpdate[] = []
  const published: Change[] = []
  const plugin = change('plugins', 'p', { config: { secret: '{vault://own/key}' } })
  const rows = [change('routes', 'r', {}), plugin, change('vaults', 'v', ownVault('a_'))]
  const store = {
    load: async () => ({
      head: { revision: 1, hash: 'h' },
      rows: (async function* () {
        for (const { kind, workspace, document } of rows) yield { kind, workspace, document, revision: 1 }
      })(),
    }),
    open: (sealed: Change) => sealed,
  } as unknown as ConfigStore
  const publisher = new Publisher({
    store,
    definitions: testModel([]).entities,
    workers: 1,
    references,
    tell: (_worker, update) => told.push(update),
    tellPart: () => {},
    onPublished: (_position, changes) => published.push(...changes),
  })
  const secrets = (update: ToldUpdate) =>
    update.changes.flatMap(({ id, document }) => {
      const secret = (document?.['config'] as { secret?: string } | undefined)?.secret
      return secret === undefined ? [] : [[id, secret]]
    })
  await publisher.load()
  publisher.begin(0)
  assert.deepEqual(secrets(told[0]!), [['p', 'one']])
  const vaultChanges = (revision: number, effects: Change[]) =>
    publisher.publish([{ revision, hash: `h${revision}`, effects } as unknown as LogEntry])
  await vaultChanges(2, [change('vaults', 'v', ownVault('b_'))])
  assert.deepEqual([told[1]!.changes.map(({ id }) => id), secrets(told[1]!)], [['v', 'p'], [['p', 'two']]])
  await vaultChanges(3, [change('vaults', 'v', null), plugin])
  assert.deepEqual([told[2]!.changes.map(({ id }) => id), secrets(told[2]!)], [['v', 'p'], [['p', '']]])
  assert.deepEqual(publisher.held('plugins'), [plugin])
  assert.ok(!JSON.stringify(published).includes('"one"') && !JSON.stringify(published).includes('"two"'))
})

test('a secret that is kept elsewhere is read before its revision is told, and told again when it is another one', async () => {
  let text = JSON.stringify({ key: 'one' })
  const asked: string[] = []
  const vault = {
    fetch: async (config: object, resource: string) => {
      asked.push(`${resource} ${JSON.stringify(config)}`)
      return { value: text }
    },
  }
  const changed: ReadonlySet<string>[] = []
  const cache = new SecretCache({
    vaults: new Map([['file', vault]]),
    nowMs: () => performance.now(),
    log: { warn() {}, info() {} },
    onChanged: (keys) => {
      changed.push(keys)
      publisher.renewSecrets(keys)
    },
  })
  const references = new References({
    fieldsOf: () => fields,
    environment: {},
    log: { warn: () => assert.fail('every reference leads somewhere') },
    secrets: cache,
  })
  const told: ToldUpdate[] = []
  const publisher = new Publisher({
    store: {
      load: async () => ({ head: { revision: 1, hash: 'h' }, rows: (async function* () {})() }),
      open: (sealed: Change) => sealed,
    } as unknown as ConfigStore,
    definitions: testModel([]).entities,
    workers: 1,
    references,
    tell: (_worker, update) => told.push(update),
    tellPart: () => {},
  })
  await publisher.load()
  publisher.begin(0)
  const effects = [
    change('plugins', 'p', { config: { secret: '{vault://file/db/key}' } }),
    change('plugins', 'q', { config: { secret: 'plain' } }),
  ]
  await publisher.publish([{ revision: 2, hash: 'h2', effects } as unknown as LogEntry])
  const secretOf = (update: ToldUpdate) => update.changes.map(({ id, document }) => [id, document!['config']])
  assert.deepEqual(secretOf(told[1]!), [
    ['p', { secret: 'one' }],
    ['q', { secret: 'plain' }],
  ])
  assert.deepEqual(asked, ['db {}'])
  text = JSON.stringify({ key: 'two' })
  while (changed.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  cache.close()
  assert.deepEqual([told[2]!.revision, told[2]!.isWhole, secretOf(told[2]!)], [2, false, [['p', { secret: 'two' }]]])
})
