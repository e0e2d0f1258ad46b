/** The store with the gateway's own definitions: what they make unique, protect, take along and keep secret. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { suite, test } from 'node:test'
import { coreEntities } from '#model/entities/index.ts'
import { vaultConfigs } from '#model/entities/vault-configs.ts'
import type { Document } from '#model/document.ts'
import { createModel } from '#model/model.ts'
import { pluginEntities, pluginSchemas } from '#plugins/schemas.ts'
import type { ConfigStore } from '#store/contract.ts'
import { createMemoryStore } from '#store/memory.ts'
import { append, commit, del, ids, put, refused, START_MS, testKeyring, W1, W2 } from './store-fixture.ts'

const model = createModel({
  entities: [...coreEntities, ...pluginEntities],
  plugins: pluginSchemas,
  built: pluginSchemas.map(({ name }) => name),
  vaults: vaultConfigs,
})
const context = {
  nowMs: START_MS,
  uuid: randomUUID,
  randomText: () => `random-${randomUUID()}`,
  routerFlavor: 'traditional_compatible',
} as const

/** A document as the Admin API would store it. */
function make(kind: string, input: Record<string, unknown>): Document {
  const checked = model.insert(kind, input, context)
  assert.ok(checked.ok, JSON.stringify(checked))
  return checked.document
}
const open = (): ConfigStore => createMemoryStore({ definitions: model, keyring: testKeyring(), nowMs: () => START_MS })

suite("the gateway's entities in a store", () => {
  test('a plugin is once on each combination of route, service and consumer', async () => {
    const store = open()
    const service = make('services', { host: 'a.test', name: 'a' })
    await commit(store, put('services', service), put('plugins', make('plugins', { name: 'cors' })))
    await commit(store, put('plugins', make('plugins', { name: 'cors', service: { id: service.id } })))
    const violation = await refused(store, put('plugins', make('plugins', { name: 'cors' })))
    assert.partialDeepStrictEqual(violation, {
      type: 'unique',
      fields: { name: 'cors', route: null, service: null, consumer: null },
    })
    await commit(
      store,
      put('plugins', make('plugins', { name: 'key-auth' })),
      put('plugins', make('plugins', { name: 'cors' }), W2),
    )
  })

  test('a service goes with its plugins, is kept by its routes, and keeps nothing itself', async () => {
    const store = open()
    const service = make('services', { host: 'a.test' })
    const route = make('routes', { paths: ['/a'], service: { id: service.id } })
    const plugin = make('plugins', { name: 'cors', service: { id: service.id } })
    await commit(store, put('services', service), put('routes', route), put('plugins', plugin))
    assert.deepEqual(await refused(store, del('services', service.id)), {
      type: 'restrict',
      kind: 'services',
      id: service.id,
      referencedBy: 'routes',
    })
    await commit(store, del('routes', route.id), del('services', service.id))
    assert.deepEqual(await ids(store, 'plugins'), [])
  })

  test('an upstream has a target once, and takes its targets along', async () => {
    const store = open()
    const [one, two] = [make('upstreams', { name: 'one.test' }), make('upstreams', { name: 'two.test' })]
    const target = (upstream: Document) =>
      put('targets', make('targets', { target: '127.0.0.1:80', upstream: { id: upstream.id } }))
    await commit(store, put('upstreams', one), put('upstreams', two), target(one), target(two))
    assert.equal((await refused(store, target(one))).type, 'unique')
    const found = await store.lookup('targets', 'cache_key', { upstream: { id: two.id }, target: '127.0.0.1:80' }, W1)
    assert.deepEqual(found?.document.upstream, { id: two.id })
    await commit(store, del('upstreams', one.id))
    assert.deepEqual(await ids(store, 'targets'), [found?.document.id])
  })

  test('a consumer takes along credentials, memberships and plugins', async () => {
    const store = open()
    const consumer = make('consumers', { username: 'ann', custom_id: '7' })
    const of = { consumer: { id: consumer.id } }
    await commit(
      store,
      put('consumers', consumer),
      put('keyauth_credentials', make('keyauth_credentials', { ...of, key: 'key-1' })),
      put('acls', make('acls', { ...of, group: 'staff' })),
      put('plugins', make('plugins', { name: 'rate-limiting', ...of, config: { minute: 5, policy: 'local' } })),
    )
    assert.equal((await store.lookup('consumers', 'custom_id', '7', W1))?.document.id, consumer.id)
    const entry = await commit(store, del('consumers', consumer.id))
    assert.equal(entry.effects.length, 4)
    assert.equal(await store.lookup('keyauth_credentials', 'key', 'key-1', W1), undefined)
  })

  test('no credential and no secret of a plugin stands in the log', async () => {
    const store = open()
    const consumer = make('consumers', { username: 'ann' })
    const of = { consumer: { id: consumer.id } }
    const entry = await commit(
      store,
      put('consumers', consumer),
      put('keyauth_credentials', make('keyauth_credentials', { ...of, key: 's3cr3t' })),
      put('basicauth_credentials', {
        ...make('basicauth_credentials', { ...of, username: 'ann', password: 'x' }),
        password: 's3cr3t',
      }),
      put('hmacauth_credentials', make('hmacauth_credentials', { ...of, username: 'ann', secret: 's3cr3t' })),
      put('jwt_secrets', make('jwt_secrets', { ...of, key: 'iss', secret: 's3cr3t' })),
      put('oauth2_credentials', {
        ...make('oauth2_credentials', { ...of, name: 'app', client_id: 'id' }),
        client_secret: 's3cr3t',
      }),
      put('sessions', make('sessions', { session_id: 's3cr3t', data: 's3cr3t' })),
      put(
        'plugins',
        make('plugins', {
          name: 'rate-limiting',
          config: { minute: 5, policy: 'redis', redis: { host: 'r.test', password: 's3cr3t' } },
        }),
      ),
    )
    const text = JSON.stringify([entry, await store.changes(0, 10)])
    assert.doesNotMatch(text, /s3cr3t/)
    assert.match(text, /r\.test/)
    assert.equal((await store.lookup('keyauth_credentials', 'key', 's3cr3t', W1))?.document.key, 's3cr3t')
    assert.equal((await store.lookup('jwt_secrets', 'key', 'iss', W1))?.document.secret, 's3cr3t')
  })

  test('prefixes of vaults are unique across workspaces, names of consumers in each', async () => {
    const store = open()
    const vault = () => make('vaults', { name: 'env', prefix: 'mine', config: { prefix: 'A_' } })
    await commit(store, put('vaults', vault()), put('consumers', make('consumers', { username: 'ann' })))
    assert.equal((await append(store, [put('vaults', vault(), W2)])).outcome, 'refused')
    await commit(store, put('consumers', make('consumers', { username: 'ann' }), W2))
  })
})
