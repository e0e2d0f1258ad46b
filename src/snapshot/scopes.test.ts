import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Plugin as PluginDocument } from '#model/entities/plugin.ts'
import type { AnyPlugin } from '#pdk/pdk.ts'
import type { PluginInstance } from './plan.ts'
import { ScopeIndex, type PlanScope } from './scopes.ts'

type Part = 'route' | 'service' | 'consumer' | 'consumer_group'

/** Kong's `precedence`, first wins; groups (which Kong's open source edition has not) stand just below their consumer. */
const PRECEDENCE: readonly (readonly Part[])[] = [
  ['route', 'service', 'consumer'],
  ['route', 'service', 'consumer_group'],
  ['route', 'consumer'],
  ['route', 'consumer_group'],
  ['service', 'consumer'],
  ['service', 'consumer_group'],
  ['route', 'service'],
  ['consumer'],
  ['consumer_group'],
  ['route'],
  ['service'],
  [],
]

const IDS: Readonly<Record<Part, string>> = { route: 'r1', service: 's1', consumer: 'c1', consumer_group: 'g1' }
const HERE: PlanScope = { workspace: 'w1', routeId: 'r1', serviceId: 's1', consumerId: 'c1', groupIds: ['g0', 'g1'] }

function instance(
  id: string,
  parts: readonly Part[],
  { name = 'cors', ids = IDS, workspace = 'w1' } = {},
): PluginInstance {
  const document = Object.fromEntries(parts.map((part) => [part, { id: ids[part] }]))
  return {
    id,
    name,
    plugin: {} as AnyPlugin,
    document: { id, name, ...document } as unknown as PluginDocument,
    state: null,
    broken: null,
    idHash: 1,
    workspace,
  }
}

const idsOf = (list: readonly PluginInstance[]) => list.map(({ id }) => id).toSorted()

for (const [rank, parts] of PRECEDENCE.entries()) {
  test(`a configuration for ${parts.join(' and ') || 'everything'} wins over every less specific one`, () => {
    const candidates = PRECEDENCE.slice(rank).map((scope) => instance(scope.join('+'), scope))
    for (const order of [candidates, candidates.toReversed()])
      assert.deepEqual(idsOf(new ScopeIndex().with([], order).resolve(HERE)), [parts.join('+')])
  })
}

test('the precedence is Kong’s, with groups put in', () => {
  // rank 1 to 8 of Kong's published table
  const kong = [
    'route+service+consumer',
    'route+consumer',
    'service+consumer',
    'route+service',
    'consumer',
    'route',
    'service',
    '',
  ]
  const withoutGroups = PRECEDENCE.filter((parts) => !parts.includes('consumer_group')).map((parts) => parts.join('+'))
  assert.deepEqual(withoutGroups, kong)
})

test('a configuration for another route, service, consumer or group does not apply', () => {
  const elsewhere = { route: 'r2', service: 's2', consumer: 'c2', consumer_group: 'g2' }
  const others = PRECEDENCE.filter((parts) => parts.length > 0).map((parts) =>
    instance(parts.join('+'), parts, { ids: elsewhere }),
  )
  const index = new ScopeIndex().with([], [...others, instance('global', [])])
  assert.deepEqual(idsOf(index.resolve(HERE)), ['global'])
})

test('a configuration that names two scopes applies only where both are', () => {
  const index = new ScopeIndex().with([], [instance('both', ['route', 'service'])])
  assert.deepEqual(idsOf(index.resolve(HERE)), ['both'])
  assert.deepEqual(idsOf(index.resolve({ ...HERE, serviceId: 's2' })), [])
  assert.deepEqual(idsOf(index.resolve({ ...HERE, routeId: 'r2' })), [])
  assert.deepEqual(idsOf(index.resolve({ ...HERE, serviceId: null })), [])
})

test('each plugin is resolved by itself', () => {
  const index = new ScopeIndex().with(
    [],
    [
      instance('cors-global', [], { name: 'cors' }),
      instance('cors-route', ['route'], { name: 'cors' }),
      instance('acl-service', ['service'], { name: 'acl' }),
      instance('key-auth-global', [], { name: 'key-auth' }),
    ],
  )
  assert.deepEqual(idsOf(index.resolve(HERE)), ['acl-service', 'cors-route', 'key-auth-global'])
})

test('a removed configuration makes room for the less specific one, and the index before it stays as it was', () => {
  const specific = instance('route', ['route'])
  const before = new ScopeIndex().with([], [instance('global', []), specific])
  const after = before.with([specific], [])
  assert.deepEqual(idsOf(after.resolve(HERE)), ['global'])
  assert.deepEqual(idsOf(before.resolve(HERE)), ['route'])
})

test('whether plans depend on who asks is counted exactly', () => {
  const one = instance('one', ['consumer'])
  const two = instance('two', ['route', 'consumer_group'])
  const three = instance('three', ['route'])
  const all = new ScopeIndex().with([], [one, two, three])
  assert.equal(all.consumerScoped, 2)
  assert.equal(all.with([one], []).consumerScoped, 1)
  assert.equal(all.with([one, two], []).consumerScoped, 0)
  assert.equal(all.with([one], [instance('one', ['route'])]).consumerScoped, 1)
})

test('any sequence of changes answers what a scan of the present configurations answers', () => {
  const someScope = fc.record({
    route: fc.constantFrom(null, 'r1', 'r2'),
    service: fc.constantFrom(null, 's1', 's2'),
    consumer: fc.constantFrom(null, 'c1', 'c2'),
    consumer_group: fc.constantFrom(null, 'g1', 'g2'),
  })
  const step = fc.record({ id: fc.nat(8), name: fc.constantFrom('acl', 'cors'), scope: fc.option(someScope) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let index = new ScopeIndex()
      const present = new Map<string, PluginInstance>()
      for (const { id, name, scope } of steps) {
        const key = `p${id}`
        const before = present.get(key)
        present.delete(key)
        const added: PluginInstance[] = []
        if (scope !== null) {
          const parts = (Object.keys(scope) as Part[]).filter(
            // A plugin names a consumer or a group, never both.
            (part) => scope[part] !== null && !(part === 'consumer_group' && scope.consumer !== null),
          )
          const ids = Object.fromEntries(parts.map((part) => [part, scope[part]])) as Record<Part, string>
          const made = instance(key, parts, { name, ids })
          present.set(key, made)
          added.push(made)
        }
        index = index.with(before === undefined ? [] : [before], added)
      }
      for (const name of ['acl', 'cors']) {
        const applying = [...present.values()].filter((one) => one.name === name && appliesHere(one))
        const best = Math.min(...applying.map(rankOf))
        const chosen = index.resolve(HERE).filter((one) => one.name === name)
        assert.equal(chosen.length, applying.length === 0 ? 0 : 1)
        if (chosen[0] !== undefined) assert.equal(rankOf(chosen[0]), best)
      }
    }),
  )
})

function partsOf({ document }: PluginInstance): Part[] {
  return (['route', 'service', 'consumer', 'consumer_group'] as const).filter((part) => Object.hasOwn(document, part))
}

function rankOf(one: PluginInstance): number {
  return PRECEDENCE.findIndex((parts) => parts.join('+') === partsOf(one).join('+'))
}

function appliesHere(one: PluginInstance): boolean {
  return partsOf(one).every((part) => (one.document as unknown as Record<Part, { id: string }>)[part].id === IDS[part])
}

test('without a scope it applies in its own workspace only', () => {
  const index = new ScopeIndex().with([], [instance('mine', []), instance('other', [], { workspace: 'w2' })])
  assert.deepEqual(idsOf(index.resolve(HERE)), ['mine'])
  assert.deepEqual(idsOf(index.resolve({ ...HERE, workspace: 'w2' })), ['other'])
  assert.deepEqual(idsOf(index.resolve({ ...HERE, workspace: 'w3' })), [])
})
