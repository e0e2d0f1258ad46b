import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BucketMap } from '#core/bucket-map.ts'
import type { Change, Document } from '#model/document.ts'
import type { Plugin as PluginDocument } from '#model/entities/plugin.ts'
import type { Route } from '#model/entities/route.ts'
import type { Service } from '#model/entities/service.ts'
import type { AnyPlugin } from '#pdk/pdk.ts'
import { fakeExchange } from '#pdk/testing'
import { createRouter, type CompiledRouter } from '#router/router.ts'
import { requestOf, routeOf } from '#router/testing.ts'
import { SnapshotCompiler, type CompilerParts } from './compiler.ts'
import type { Snapshot } from './snapshot.ts'
import { fakeBalancer, type FakeBalancer } from './testing.ts'

/** A compiler with balancers that only count, and plugins `one` and `two` that keep their configuration as state. */
function bed(parts: Partial<CompilerParts> = {}) {
  const closed: unknown[] = []
  const broken: string[] = []
  const notClosed: string[] = []
  const made: FakeBalancer[] = []
  const plugin = (name: string): AnyPlugin =>
    ({
      schema: { name, priority: name === 'one' ? 2 : 1 },
      prepare: (config: { fails?: boolean }) => {
        if (config.fails === true) throw new Error('cannot be prepared')
        return config
      },
      access: () => undefined,
      close: (state: unknown) => closed.push(state),
    }) as unknown as AnyPlugin
  const compiler = new SnapshotCompiler({
    plugins: new Map(['one', 'two'].map((name) => [name, plugin(name)])),
    emptyRouter: createRouter({ flavor: 'traditional_compatible' }),
    isTraditional: false,
    createUpstreamBalancer: (upstream, targets) => {
      const balancer = fakeBalancer(
        upstream.name,
        targets.map(({ target }) => target),
      )
      made.push(balancer)
      return balancer
    },
    createDirectBalancer: (host, port) => fakeBalancer(`${host}:${port}`, []),
    pluginTools: () => ({}) as never,
    orderPlugins: (instances) => instances.toSorted((a, b) => b.plugin.schema.priority - a.plugin.schema.priority),
    tlsTargets: () => () => ({}) as never,
    idHash: () => 1,
    figuresFor: (route) => ({ of: route.id }),
    pluginBroken: (document) => broken.push(document.id),
    pluginNotClosed: (document) => notClosed.push(document.id),
    nowMs: () => 0,
    ...parts,
  })
  let revision = 0
  const apply = (changes: readonly Change[], isWhole = false): Snapshot =>
    compiler.apply({ revision: ++revision, hash: `h${revision}`, isWhole, changes, lookedUp: [] })
  return { compiler, apply, closed, broken, notClosed, made }
}

function put(kind: string, document: { readonly id: string }): Change {
  return { kind, workspace: '', id: document.id, document }
}

function gone(kind: string, id: string): Change {
  return { kind, workspace: '', id, document: null }
}

function aRoute(id: string, input: Partial<Route> = {}): Route {
  return routeOf({ id, paths: [`/${id}`], service: { id: 's1' }, ...input })
}

function aService(id: string, input: Partial<Service> = {}): Service {
  return {
    id,
    name: id,
    host: `${id}.test`,
    port: 80,
    protocol: 'http',
    path: null,
    enabled: true,
    ...input,
  } as Service
}

function aPlugin(id: string, input: Partial<Record<keyof PluginDocument, unknown>> = {}): { id: string } {
  return { id, name: 'one', enabled: true, config: { of: id }, protocols: ['http'], ...input } as never
}

const anUpstream = (id: string, name: string) => ({ id, name, host_header: null })
const aTarget = (id: string, target: string, upstream: string) => ({
  id,
  target,
  weight: 100,
  upstream: { id: upstream },
})

function matched(snapshot: Snapshot, path: string): Route | null {
  return snapshot.router.match(requestOf({ path }))?.route ?? null
}

function compiledAt(snapshot: Snapshot, path: string) {
  const route = matched(snapshot, path)
  assert.notEqual(route, null, `no route for ${path}`)
  return snapshot.compiled(route!)
}

const labelAt = (snapshot: Snapshot, path: string) =>
  (compiledAt(snapshot, path).service!.balancer as FakeBalancer).label

describe('routes and services', () => {
  test('a service with its route serves, and no longer does when both are deleted', () => {
    const { apply } = bed()
    const first = apply([put('services', aService('s1')), put('routes', aRoute('r1'))])
    assert.equal(compiledAt(first, '/r1').service?.service.id, 's1')
    const second = apply([gone('routes', 'r1'), gone('services', 's1')])
    assert.equal(matched(second, '/r1'), null)
    assert.equal(matched(first, '/r1')?.id, 'r1', 'the snapshot before must stay as it was')
  })

  test('a change of a service reaches routes that were compiled before it', () => {
    const { apply } = bed()
    const first = apply([put('services', aService('s1')), put('routes', aRoute('r1'))])
    assert.equal(compiledAt(first, '/r1').service?.service.port, 80)
    const second = apply([put('services', aService('s1', { port: 81 }))])
    assert.equal(compiledAt(second, '/r1').service?.service.port, 81)
  })

  test('a request that goes on with the snapshot before still gets what that one says', () => {
    const { apply } = bed()
    const first = apply([put('services', aService('s1')), put('routes', aRoute('r1'))])
    const second = apply([put('services', aService('s1', { port: 81 }))])
    assert.equal(compiledAt(second, '/r1').service?.service.port, 81)
    assert.equal(compiledAt(first, '/r1').service?.service.port, 80)
    assert.equal(compiledAt(second, '/r1').service?.service.port, 81)
  })

  test('the routes of a disabled service are not there until it is enabled', () => {
    const { apply } = bed()
    const off = aService('s1', { enabled: false })
    assert.equal(matched(apply([put('services', off), put('routes', aRoute('r1'))]), '/r1'), null)
    assert.equal(matched(apply([put('services', aService('s1'))]), '/r1')?.id, 'r1')
    assert.equal(matched(apply([put('services', off)]), '/r1'), null)
    assert.equal(matched(apply([put('routes', aRoute('r2'))]), '/r2'), null)
    assert.equal(matched(apply([put('services', aService('s1'))]), '/r2')?.id, 'r2')
  })

  test('a route that changes its service goes to the new one', () => {
    const { apply } = bed()
    apply([put('services', aService('s1')), put('services', aService('s2')), put('routes', aRoute('r1'))])
    const moved = apply([put('routes', aRoute('r1', { service: { id: 's2' } }))])
    assert.equal(compiledAt(moved, '/r1').service?.service.id, 's2')
  })

  test('a route is compiled once for as long as nothing that it depends on changes', () => {
    const { apply } = bed()
    const first = apply([put('services', aService('s1')), put('routes', aRoute('r1'))])
    const compiled = compiledAt(first, '/r1')
    const second = apply([put('routes', aRoute('r2'))])
    assert.equal(compiledAt(second, '/r1'), compiled)
    assert.notEqual(compiledAt(apply([put('services', aService('s1'))]), '/r1'), compiled)
  })

  test('a whole load takes away what it does not name', () => {
    const { apply, compiler } = bed()
    apply([put('services', aService('s1')), put('routes', aRoute('r1')), put('routes', aRoute('r2'))])
    const loaded = apply([put('services', aService('s1')), put('routes', aRoute('r2'))], true)
    assert.equal(matched(loaded, '/r1'), null)
    assert.equal(matched(loaded, '/r2')?.id, 'r2')
    assert.deepEqual(
      [...compiler.documents('routes')].map(({ id }) => id),
      ['r2'],
    )
    apply([], true)
    assert.deepEqual([...compiler.documents('services')], [])
  })
})

describe('upstreams', () => {
  test('a service whose host is the name of an upstream is balanced over its targets, else its host is reached itself', () => {
    const { apply } = bed()
    const first = apply([put('services', aService('s1', { host: 'pool' })), put('routes', aRoute('r1'))])
    assert.equal(labelAt(first, '/r1'), 'pool:80')
    const second = apply([put('upstreams', anUpstream('u1', 'pool')), put('targets', aTarget('t1', 'a:1', 'u1'))])
    assert.equal(labelAt(second, '/r1'), 'pool')
    assert.equal(labelAt(apply([gone('targets', 't1'), gone('upstreams', 'u1')]), '/r1'), 'pool:80')
  })

  test('a balancer lives through changes of its upstream, its targets and its name, and is closed at the end', () => {
    const { apply, made } = bed()
    apply([put('upstreams', anUpstream('u1', 'pool')), put('targets', aTarget('t1', 'a:1', 'u1'))])
    apply([put('targets', aTarget('t2', 'b:1', 'u1'))])
    apply([gone('targets', 't1')])
    apply([put('upstreams', anUpstream('u1', 'renamed'))])
    assert.equal(made.length, 1)
    assert.deepEqual(made[0]!.targets, ['b:1'])
    assert.equal(made[0]!.isClosed, false)
    apply([gone('targets', 't2'), gone('upstreams', 'u1')])
    assert.equal(made[0]!.isClosed, true)
  })

  test('a target that moves changes both upstreams', () => {
    const { apply, made } = bed()
    apply([
      put('upstreams', anUpstream('u1', 'one')),
      put('upstreams', anUpstream('u2', 'two')),
      put('targets', aTarget('t1', 'a:1', 'u1')),
    ])
    apply([put('targets', aTarget('t1', 'a:1', 'u2'))])
    assert.deepEqual(Object.fromEntries(made.map(({ label, targets }) => [label, targets])), { one: [], two: ['a:1'] })
  })

  test('two upstreams that swap their names in one change keep their own targets', () => {
    const { apply, compiler } = bed()
    apply([
      put('upstreams', anUpstream('u1', 'one')),
      put('upstreams', anUpstream('u2', 'two')),
      put('targets', aTarget('t1', 'a:1', 'u1')),
      put('targets', aTarget('t2', 'b:1', 'u2')),
    ])
    apply([put('upstreams', anUpstream('u1', 'two')), put('upstreams', anUpstream('u2', 'one'))])
    assert.deepEqual((compiler.upstreamBalancer('two') as FakeBalancer).targets, ['a:1'])
    assert.deepEqual((compiler.upstreamBalancer('one') as FakeBalancer).targets, ['b:1'])
  })

  for (const order of ['the new one first', 'the old one first']) {
    test(`an upstream that is replaced by another of its name in one change is not mixed up with it, ${order}`, () => {
      const { apply, compiler, made } = bed()
      apply([put('upstreams', anUpstream('u1', 'pool')), put('targets', aTarget('t1', 'a:1', 'u1'))])
      const changes = [
        gone('targets', 't1'),
        gone('upstreams', 'u1'),
        put('upstreams', anUpstream('u2', 'pool')),
        put('targets', aTarget('t2', 'b:1', 'u2')),
      ]
      apply(order === 'the new one first' ? changes.toReversed() : changes)
      const balancer = compiler.upstreamBalancer('pool') as FakeBalancer
      assert.deepEqual(balancer.targets, ['b:1'])
      assert.equal(balancer.isClosed, false)
      assert.equal(made[0]!.isClosed, true)
    })
  }
})

describe('plugins', () => {
  const names = (snapshot: Snapshot, path: string) => compiledAt(snapshot, path).plan.instances.map(({ id }) => id)

  function withRoute() {
    const made = bed()
    made.apply([put('services', aService('s1')), put('routes', aRoute('r1')), put('routes', aRoute('r2'))])
    return made
  }

  test('the plan of a route has the most specific configuration of each plugin, in order', () => {
    const { apply } = withRoute()
    const snapshot = apply([
      put('plugins', aPlugin('two-global', { name: 'two' })),
      put('plugins', aPlugin('one-global')),
      put('plugins', aPlugin('one-r1', { route: { id: 'r1' } })),
    ])
    assert.deepEqual(names(snapshot, '/r1'), ['one-r1', 'two-global'])
    assert.deepEqual(names(snapshot, '/r2'), ['one-global', 'two-global'])
    assert.deepEqual(
      snapshot.globalPlan.instances.map(({ id }) => id),
      ['one-global', 'two-global'],
    )
  })

  test('a disabled configuration makes room for the less specific one', () => {
    const { apply } = withRoute()
    apply([put('plugins', aPlugin('global')), put('plugins', aPlugin('r1', { route: { id: 'r1' } }))])
    assert.deepEqual(names(apply([put('plugins', aPlugin('r1', { route: { id: 'r1' }, enabled: false }))]), '/r1'), [
      'global',
    ])
  })

  test('one that was changed or deleted is closed, one that was not touched lives on', () => {
    const { apply, closed } = withRoute()
    apply([put('plugins', aPlugin('p1')), put('plugins', aPlugin('p2', { name: 'two' }))])
    apply([put('plugins', aPlugin('p1', { config: { of: 'changed' } }))])
    assert.deepEqual(closed, [{ of: 'p1' }])
    apply([gone('plugins', 'p1')])
    assert.deepEqual(closed, [{ of: 'p1' }, { of: 'changed' }])
  })

  test('one is closed when the last exchange that began with it has ended, whatever changed in between', () => {
    const { compiler, apply, closed } = withRoute()
    const first = apply([put('plugins', aPlugin('p1'))])
    first.inFlight = 1
    apply([put('routes', aRoute('r2'))])
    apply([gone('plugins', 'p1')])
    assert.deepEqual(closed, [])
    first.inFlight = 0
    compiler.closeRetired()
    assert.deepEqual(closed, [{ of: 'p1' }])
  })

  test('one that cannot be prepared is told, and fails its requests instead of letting them pass', async () => {
    const { apply, broken } = withRoute()
    const snapshot = apply([put('plugins', aPlugin('p1', { config: { fails: true } }))])
    assert.deepEqual(broken, ['p1'])
    const [step] = compiledAt(snapshot, '/r1').plan.access
    const exit = await step!.run(fakeExchange(), step!.instance.state)
    assert.equal((exit as { status: number }).status, 500)
  })

  test('one whose close fails does not keep the change from being served', () => {
    const failing = {
      schema: { name: 'one', priority: 1 },
      prepare: () => null,
      close: () => {
        throw new Error('cannot be closed')
      },
    } as unknown as AnyPlugin
    const { apply, notClosed } = bed({ plugins: new Map([['one', failing]]) })
    apply([put('plugins', aPlugin('p1'))])
    const after = apply([gone('plugins', 'p1'), put('services', aService('s1')), put('routes', aRoute('r1'))])
    assert.equal(compiledAt(after, '/r1').plan.instances.length, 0)
    assert.deepEqual(notClosed, ['p1'])
  })

  test('a plugin that this node does not run is passed over', () => {
    const { apply } = withRoute()
    assert.deepEqual(names(apply([put('plugins', aPlugin('p1', { name: 'three' }))]), '/r1'), [])
  })

  test('a consumer gets the configuration made for it, others the common one', () => {
    const { apply } = withRoute()
    const snapshot = apply([
      put('plugins', aPlugin('all')),
      put('plugins', aPlugin('alice', { consumer: { id: 'c1' } })),
    ])
    const compiled = compiledAt(snapshot, '/r1')
    const planOf = (id: string) =>
      snapshot.consumerPlan(compiled, fakeExchange({ consumer: { id } })).instances.map((one) => one.id)
    assert.equal(compiled.hasConsumerPlans, true)
    assert.deepEqual(planOf('c1'), ['alice'])
    assert.deepEqual(planOf('c2'), ['all'])
    assert.deepEqual(names(snapshot, '/r1'), ['all'])
  })

  test('a plan for a consumer is made once, and anew after a change', () => {
    const { apply } = withRoute()
    const exchange = fakeExchange({ consumer: { id: 'c1' } })
    const first = apply([put('plugins', aPlugin('alice', { consumer: { id: 'c1' } }))])
    const plan = first.consumerPlan(compiledAt(first, '/r1'), exchange)
    assert.equal(first.consumerPlan(compiledAt(first, '/r1'), exchange), plan)
    const second = apply([gone('plugins', 'alice')])
    assert.deepEqual(second.consumerPlan(compiledAt(second, '/r1'), exchange).instances, [])
  })
})

describe('with 50,000 routes, a change makes anew only what it touches', () => {
  const HOSTS = 1000
  const many = Array.from({ length: 50_000 }, (_, i) =>
    aRoute(`r${i}`, { hosts: [`h${i % HOSTS}.test`], paths: [`/p${Math.floor(i / HOSTS)}`] }),
  )
  const { apply, compiler } = bed()
  let before = apply([put('services', aService('s1')), ...many.map((route) => put('routes', route))])
  const routerOf = (snapshot: Snapshot) => snapshot.router as CompiledRouter
  type WithTables = Snapshot & { readonly tables: ReadonlyMap<string, BucketMap<Document>>; readonly scopes: object }
  const tablesOf = (snapshot: Snapshot) => (snapshot as WithTables).tables
  const at = (snapshot: Snapshot, host: string, path: string) =>
    snapshot.router.match(requestOf({ host, path }))?.route.id ?? null

  function changed(changes: readonly Change[]): { before: Snapshot; after: Snapshot } {
    const pair = { before, after: apply(changes) }
    before = pair.after
    return pair
  }

  test('a changed route: one path tree of one host, one bucket of each table', () => {
    const pair = changed([put('routes', aRoute('r7', { hosts: ['h7.test'], paths: ['/other'] }))])
    const [old, now] = [routerOf(pair.before), routerOf(pair.after)]
    assert.equal(now.stats.trees, 1)
    assert.ok(now.stats.nodes < 10, `${now.stats.nodes} nodes`)
    assert.equal(now.tables.exact.bucketsApart(old.tables.exact), 1)
    assert.equal(now.routes.bucketsApart(old.routes), 1)
    assert.equal(tablesOf(pair.after).get('routes')!.bucketsApart(tablesOf(pair.before).get('routes')!), 1)
    assert.equal(tablesOf(pair.after).get('services'), tablesOf(pair.before).get('services'))
    assert.equal((pair.after as WithTables).scopes, (pair.before as WithTables).scopes)
    assert.equal(at(pair.after, 'h7.test', '/other'), 'r7')
    assert.equal(at(pair.after, 'h7.test', '/p0'), null)
    assert.equal(at(pair.before, 'h7.test', '/p0'), 'r7')
    assert.equal(at(pair.after, 'h8.test', '/p0'), 'r8')
  })

  test('an added and a removed route: their two hosts', () => {
    const pair = changed([put('routes', aRoute('new', { hosts: ['h1.test'], paths: ['/new'] })), gone('routes', 'r2')])
    const now = routerOf(pair.after)
    assert.equal(now.stats.trees, 2)
    assert.equal(now.tables.exact.bucketsApart(routerOf(pair.before).tables.exact), 2)
    assert.equal(at(pair.after, 'h1.test', '/new'), 'new')
    assert.equal(at(pair.after, 'h2.test', '/p0'), null)
    assert.equal(compiler.document('routes', 'r2'), undefined)
  })

  test('a service, a plugin, an upstream: no table of the router', () => {
    for (const change of [
      put('services', aService('s1', { port: 81 })),
      put('plugins', aPlugin('p1')),
      put('upstreams', anUpstream('u1', 'pool')),
      put('targets', aTarget('t1', 'a:1', 'u1')),
    ]) {
      const pair = changed([change])
      assert.equal(pair.after.router, pair.before.router)
      assert.equal(tablesOf(pair.after).get('routes'), tablesOf(pair.before).get('routes'))
    }
    assert.deepEqual(
      compiledAt(
        { ...before, compiled: before.compiled.bind(before), router: { match: () => ({ route: many[9]! }) } } as never,
        '/',
      ).plan.instances.map(({ id }) => id),
      ['p1'],
    )
  })

  test('a consumer or a credential: nothing, because workers look those up', () => {
    const snapshot = compiler.apply({
      revision: 1000,
      hash: 'h',
      isWhole: false,
      changes: [],
      lookedUp: [put('consumers', { id: 'c1' })],
    })
    assert.equal(snapshot.router, before.router)
    assert.equal(compiler.document('consumers', 'c1'), undefined)
  })
})

test('workspaces keep their plugins and upstreams to themselves', () => {
  const { apply } = bed({ figuresFor: (_route, _service, workspace) => workspace })
  const there = (change: Change): Change => ({ ...change, workspace: 'w2' })
  const snapshot = apply([
    put('workspaces', { id: 'w2', name: 'team' } as never),
    put('services', aService('s1', { host: 'pool' })),
    put('routes', aRoute('r1')),
    put('upstreams', anUpstream('u1', 'pool')),
    there(put('services', aService('s2', { host: 'pool' }))),
    there(put('routes', aRoute('r2', { service: { id: 's2' } }))),
    there(put('plugins', aPlugin('p2'))),
    put('plugins', aPlugin('p1')),
  ])
  const mine = compiledAt(snapshot, '/r1')
  const theirs = compiledAt(snapshot, '/r2')
  assert.deepEqual(
    [mine, theirs].map(({ plan }) => plan.instances.map(({ id }) => id)),
    [['p1'], ['p2']],
  )
  assert.deepEqual([mine.figures, theirs.figures], ['default', 'team'])
  assert.deepEqual(theirs.workspace, { id: 'w2', name: 'team' })
  assert.deepEqual(
    snapshot.globalPlan.instances.map(({ id }) => id),
    ['p1'],
  )
  assert.notEqual(mine.service?.balancer, theirs.service?.balancer)
})

test('a plugin for other protocols than those of HTTP does not run with requests', () => {
  const { apply } = bed()
  const snapshot = apply([
    put('services', aService('s1')),
    put('routes', aRoute('r1')),
    put('plugins', aPlugin('p1', { protocols: ['tcp'] })),
    put('plugins', aPlugin('p2', { name: 'two', protocols: ['https'] })),
  ])
  const { access, responseHeaders, responseBody, log } = compiledAt(snapshot, '/r1').plan
  const ids = [...access, ...responseHeaders, ...responseBody, ...log].map(({ instance }) => instance.id)
  assert.deepEqual([...new Set(ids)], ['p2'])
})

test('another service for a route is found by name or id in its workspace, as the newest configuration has it', () => {
  const { apply } = bed()
  const there = (change: Change): Change => ({ ...change, workspace: 'w2' })
  const at = (snapshot: Snapshot, kind: 'service' | 'upstream', name: string) => {
    const other = snapshot.otherService(compiledAt(snapshot, '/r1'), kind, name)
    return other && [other.service.id, other.host, (other.balancer as FakeBalancer).label]
  }
  const first = apply([
    put('services', aService('s1')),
    put('routes', aRoute('r1')),
    put('services', aService('s2', { name: 'next' })),
    put('services', aService('s3', { name: 'off', enabled: false })),
    there(put('services', aService('s4', { name: 'theirs' }))),
    put('upstreams', anUpstream('u1', 'pool')),
  ])
  assert.deepEqual(at(first, 'service', 'next'), ['s2', 's2.test', 's2.test:80'])
  assert.deepEqual(at(first, 'service', 's2'), ['s2', 's2.test', 's2.test:80'])
  assert.deepEqual(at(first, 'upstream', 'pool'), ['s1', 'pool', 'pool'])
  for (const name of ['off', 'theirs', 's4', 'pool']) assert.equal(at(first, 'service', name), null)
  // The name passes to another one.
  const second = apply([
    put('services', aService('s2', { name: 'old' })),
    put('services', aService('s5', { name: 'next' })),
  ])
  assert.deepEqual(at(second, 'service', 'next')?.[0], 's5')
  assert.deepEqual(at(first, 'service', 'next')?.[0], 's2')
  assert.equal(at(apply([gone('services', 's5'), gone('upstreams', 'u1')]), 'service', 'next'), null)
})
