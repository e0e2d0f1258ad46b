import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderList } from '#http/header-list.ts'
import type { RoutableRequest, RouteMatch, RouterFlavor } from './contract.ts'
import { createRouter, type CompiledRouter } from './router.ts'
import { requestOf, routeOf, type RouteInput } from './testing.ts'

/** A router whose routes are named r0, r1 ... with ids that fall in this order. */
function routerOf(inputs: readonly RouteInput[], flavor: RouterFlavor = 'traditional_compatible'): CompiledRouter {
  const put = inputs.map((input, i) => routeOf({ id: idOf(i), name: `r${i}`, ...input }))
  return createRouter({ flavor }).with({ put, remove: [] })
}

function idOf(i: number): string {
  return `${(0xffffffff - i).toString(16)}-0000-4000-8000-000000000000`
}

function matchOf(router: CompiledRouter, request: Partial<RoutableRequest>): RouteMatch | null {
  return router.match(requestOf(request))
}

function nameOf(router: CompiledRouter, request: Partial<RoutableRequest>): string | null {
  return matchOf(router, request)?.route.name ?? null
}

const headers = (...list: readonly (readonly [string, string])[]): { headers: HeaderList } => ({
  headers: HeaderList.from(list),
})

test('hosts are compared exactly, and a wildcard stands for the first or last labels', () => {
  const router = routerOf([
    { hosts: ['a.test'] },
    { hosts: ['*.a.test'] },
    { hosts: ['a.*'] },
    { hosts: ['*.x.a.test'] },
  ])
  for (const [host, name] of [
    ['a.test', 'r0'],
    ['b.a.test', 'r1'],
    ['x.a.test', 'r1'],
    ['y.x.a.test', 'r1'],
    ['a.org', 'r2'],
    ['a.', 'r2'],
    ['ba.test', null],
    ['A.test', null],
    ['', null],
  ] as const)
    assert.equal(nameOf(router, { host }), name, host)
})

test('a host with a port needs the port of the Host header, else that of the listener; the traditional flavor takes the one of the scheme', () => {
  const inputs = [
    { hosts: ['a.test:80'] },
    { hosts: ['a.test:8000', '[::1]:8000'] },
    { hosts: ['a.test'] },
    { hosts: ['*.b.test:80'] },
  ]
  const compatible = routerOf(inputs)
  const traditional = routerOf(inputs, 'traditional')
  const withPort = { hasHostPort: true, port: 80 }
  assert.equal(nameOf(compatible, { host: 'a.test', ...withPort }), 'r0')
  assert.equal(nameOf(compatible, { host: 'x.b.test', ...withPort }), 'r3')
  assert.equal(nameOf(compatible, { host: 'a.test', port: 8000 }), 'r1')
  assert.equal(nameOf(compatible, { host: '[::1]', port: 8000 }), 'r1')
  assert.equal(nameOf(compatible, { host: 'a.test', port: 81 }), 'r2')
  assert.equal(nameOf(traditional, { host: 'a.test', port: 8000 }), 'r0')
  assert.equal(nameOf(traditional, { host: 'a.test', port: 8443, scheme: 'https' }), 'r2')
  assert.equal(nameOf(traditional, { host: 'a.test', port: 8000, hasHostPort: true }), 'r1')
})

test('a plain path is a prefix whatever follows, and the longest wins', () => {
  const router = routerOf([{ paths: ['/'] }, { paths: ['/foo'] }, { paths: ['/foo/bar', '/x'] }])
  for (const [path, name, matchedPath] of [
    ['/', 'r0', '/'],
    ['/fo', 'r0', '/'],
    ['/foobar', 'r1', '/foo'],
    ['/foo/bar/baz', 'r2', '/foo/bar'],
    ['/x', 'r2', '/x'],
  ] as const) {
    const match = matchOf(router, { path })
    assert.deepEqual([match?.route.name, match?.matchedPath, match?.captures], [name, matchedPath, null], path)
  }
  assert.equal(matchOf(router, { path: '*' }), null)
})

test('paths of routes are compared in normal form, as bytes', () => {
  const router = routerOf([
    { paths: ['/caf\u00e9'] },
    { paths: ['/sp%20ace'] },
    { paths: ['~/r/caf%C3%A9/\\d'] },
    { paths: ['~/a%2eb%2fc'] },
  ])
  assert.equal(nameOf(router, { path: '/caf\u00c3\u00a9/x' }), 'r0')
  assert.equal(nameOf(router, { path: '/sp ace' }), 'r1')
  assert.equal(nameOf(router, { path: '/r/caf\u00c3\u00a9/1' }), 'r2')
  assert.equal(nameOf(router, { path: '/a.b%2Fc' }), 'r3')
  assert.equal(nameOf(router, { path: '/axb%2Fc' }), null)
})

test('a regex path wins over plain ones, then the greater regex_priority', () => {
  const router = routerOf([
    { paths: ['/a/long/plain/path'] },
    { paths: ['~/a/[a-z]+'], regex_priority: 1 },
    { paths: ['~/a/(?<first>\\w+)/(\\w+)?'], regex_priority: 2 },
  ])
  assert.deepEqual(matchOf(router, { path: '/a/long/plain/path' }), {
    route: router.routes.get(idOf(2))?.route,
    matchedPath: '/a/long/plain',
    captures: { named: { first: 'long' }, unnamed: ['long', 'plain'] },
  })
  assert.deepEqual(matchOf(router, { path: '/a/b/' })?.captures, { named: { first: 'b' }, unnamed: ['b', ''] })
  assert.equal(nameOf(router, { path: '/a/b' }), 'r1')
  assert.equal(nameOf(router, { path: '/x/a/b' }), null)
})

test('a regex that backtracks without end does not stall a match', () => {
  const router = routerOf([{ paths: ['~/(a+)+$'] }, { paths: ['/'] }, { headers: { 'x-a': ['~*^(a|a)*$'] } }])
  const letters = 'a'.repeat(4000)
  assert.equal(nameOf(router, { path: `/${letters}!`, ...headers(['x-a', `${letters}!`]) }), 'r1')
  assert.equal(nameOf(router, { path: `/${letters}` }), 'r0')
})

test('a part of a route that cannot be matched is told, and the rest of the route matches', () => {
  const router = routerOf([{ paths: ['~/a(?=b)', '/c'], headers: { h: ['~*(', 'x'] } }, { protocols: ['tcp'] }, {}])
  assert.deepEqual(router.stats.problems, [
    { routeId: idOf(0), reason: 'headers.h: missing ) at character 2' },
    { routeId: idOf(0), reason: 'paths[0]: look-around cannot be matched in linear time' },
    { routeId: idOf(1), reason: 'protocols: expected one of http, https, grpc, grpcs, got tcp' },
    { routeId: idOf(2), reason: 'expected at least one of methods, hosts, paths, headers, snis or query, got none' },
  ])
  assert.equal(nameOf(router, { path: '/c', ...headers(['H', 'X']) }), 'r0')
  assert.equal(nameOf(router, { path: '/ab', ...headers(['H', 'X']) }), null)
  assert.equal(router.size, 3)
})

test('header names take - and _ for the same, values are compared without case, any occurrence suffices', () => {
  const router = routerOf([{ headers: { 'X-My_Header': ['One', '~*^t[WH]\\S+$'] } }])
  for (const [list, expected] of [
    [[['x_my-header', 'ONE']], 'r0'],
    [[['X-MY-HEADER', 'Two']], 'r0'],
    [
      [
        ['x-my-header', 'no'],
        ['x-my-header', 'three'],
      ],
      'r0',
    ],
    [[['x-my-header', 'one, no']], null],
    [[['x-my-headers', 'one']], null],
    [[], null],
  ] as const)
    assert.equal(nameOf(router, headers(...list)), expected, JSON.stringify(list))
  const traditional = routerOf([{ headers: { h: ['~*a', 'b'] } }, { headers: { g: ['~*A'] } }], 'traditional')
  assert.equal(nameOf(traditional, headers(['h', 'a'])), null)
  assert.equal(nameOf(traditional, headers(['h', '~*a'])), 'r0')
  assert.equal(nameOf(traditional, headers(['g', 'xAx'])), 'r1')
})

test('methods are compared exactly, also unusual ones', () => {
  const router = routerOf([{ methods: ['GET', 'PURGE'] }, { methods: ['POST'] }])
  for (const [method, name] of [
    ['GET', 'r0'],
    ['PURGE', 'r0'],
    ['POST', 'r1'],
    ['LOCK', null],
    ['get', null],
    ['HEAD', null],
  ] as const)
    assert.equal(nameOf(router, { method }), name, method)
})

test('server names count for requests with TLS only', () => {
  const router = routerOf([{ paths: ['/'], snis: ['a.test.', '*.b.test'] }])
  assert.equal(nameOf(router, { scheme: 'https', sni: 'a.test' }), 'r0')
  assert.equal(nameOf(router, { scheme: 'https', sni: 'x.b.test' }), 'r0')
  assert.equal(nameOf(router, { scheme: 'https', sni: 'c.test' }), null)
  assert.equal(nameOf(router, { scheme: 'https', sni: null }), null)
  assert.equal(nameOf(router, { scheme: 'http' }), 'r0')
  assert.equal(nameOf(routerOf([{ snis: ['*.b.test'] }], 'traditional'), { scheme: 'https', sni: 'x.b.test' }), null)
})

test('all query names must be there with one of their values, and decide between routes that Kong thinks equal', () => {
  const router = routerOf([
    { paths: ['/a'], query: { v: ['2', 'a b'] } },
    { paths: ['/a'] },
    { paths: ['/a'], query: { v: ['2'], '\u00e9': [] } },
    { paths: ['/a/b'] },
  ])
  for (const [query, name] of [
    ['v=2', 'r0'],
    ['v=1&%76=a+b', 'r0'],
    ['v=a%20b&x', 'r0'],
    ['v=2&%C3%A9', 'r2'],
    ['v=22', 'r1'],
    ['vv=2', 'r1'],
    ['', 'r1'],
    [null, 'r1'],
  ] as const)
    assert.equal(nameOf(router, { path: '/a', query }), name, String(query))
  assert.equal(nameOf(router, { path: '/a/b', query: 'v=2' }), 'r3')
})

test('addresses and ports of client and server are matched for HTTP where the flavor has it', () => {
  const inputs: RouteInput[] = [
    { sources: [{ ip: '10.0.0.0/8', port: null }], destinations: [{ ip: null, port: 8443 }] },
    { sources: [{ ip: '::1', port: 99 }] },
  ]
  const router = routerOf(inputs)
  assert.equal(nameOf(router, { clientIp: '10.1.2.3', serverPort: 8443 }), 'r0')
  assert.equal(nameOf(router, { clientIp: '10.1.2.3', serverPort: 8000 }), null)
  assert.equal(nameOf(router, { clientIp: '11.1.2.3', serverPort: 8443 }), null)
  assert.equal(nameOf(router, { clientIp: '::1', clientPort: 99 }), 'r1')
  assert.equal(nameOf(router, { clientIp: '::1', clientPort: 98 }), null)
  assert.equal(routerOf(inputs, 'traditional').stats.problems.length, 2)
})

test('a route for HTTPS, gRPC or HTTP only matches every request: what follows from it is decided after the match', () => {
  for (const protocols of [['https'], ['http'], ['grpc'], ['grpcs']] as const) {
    const router = routerOf([{ paths: ['/'], protocols: [...protocols] }])
    assert.equal(nameOf(router, { scheme: 'http' }), 'r0')
    assert.equal(nameOf(router, { scheme: 'https', sni: 'x' }), 'r0')
  }
})

test('of equal routes the older one wins, of equally old ones the one with the greater id', () => {
  for (const flavor of ['traditional_compatible', 'traditional'] as const) {
    const aged = [
      { paths: ['/a'], created_at: 3 },
      { paths: ['/a'], created_at: 2 },
    ]
    assert.equal(nameOf(routerOf(aged, flavor), { path: '/a' }), 'r1')
    const same = aged.map((input) => ({ ...input, created_at: 2 }))
    const winner = nameOf(routerOf(same, flavor), { path: '/a' })
    assert.equal(nameOf(routerOf(same.toReversed(), flavor), { path: '/a' }), winner)
  }
})

const LAYOUTS: Readonly<Record<string, (i: number) => RouteInput>> = {
  'one path on one host': (i) => ({ hosts: ['a.test'], paths: [`/services/s${i}/items`] }),
  'one path without a host': (i) => ({ paths: [`/services/s${i}/items`] }),
  'a host each': (i) => ({ hosts: [`h${i}.test`], paths: ['/'] }),
  'a wildcard each': (i) => ({ hosts: [`*.h${i}.test`], paths: ['/'] }),
  'five paths on ten hosts': (i) => ({
    hosts: [`h${i % 10}.test`],
    paths: [`/a/${i}`, `/b/${i}/x`, `/c/x/${i}`, `/d/${i}/x/y`, `~/e/${i}/\\d+`],
  }),
}

for (const [name, layout] of Object.entries(LAYOUTS)) {
  test(`with 50,000 routes of ${name} a change makes anew only what stands on its way`, () => {
    const router = routerOf(Array.from({ length: 50_000 }, (_, i) => layout(i)))
    assert.equal(router.size, 50_000)
    const changed = layout(12_345)
    const entries = changed.paths!.length
    const steps: [CompiledRouter, CompiledRouter][] = []
    const step = (from: CompiledRouter, change: Parameters<CompiledRouter['with']>[0]): CompiledRouter => {
      const next = from.with(change)
      steps.push([from, next])
      return next
    }
    const replaced = step(router, { put: [routeOf({ id: idOf(12_345), name: 'new', ...changed })], remove: [] })
    const added = step(replaced, { put: [routeOf({ id: idOf(50_001), name: 'more', ...layout(50_001) })], remove: [] })
    step(added, { put: [], remove: [idOf(12_345)] })
    for (const [before, after] of steps) {
      assert.equal(after.stats.leaves, entries)
      assert.equal(after.stats.trees, 1)
      // Five or six levels of ten digits, and the nodes that a split or merge makes.
      assert.ok(after.stats.nodes <= 9 * entries, `${after.stats.nodes} nodes`)
      assert.ok(after.routes.bucketsApart(before.routes) === 1)
      assert.ok(after.tables.exact.bucketsApart(before.tables.exact) <= 1)
    }
    const [host] = changed.hosts ?? ['x']
    const request = { host: host!.replace('*', 'x'), path: `${changed.paths![0]}/y` }
    assert.equal(nameOf(router, request), 'r12345')
    assert.equal(nameOf(replaced, request), 'new')
    assert.notEqual(nameOf(steps[2]![1], request), 'new')
  })
}

test('a table that a change does not touch is the same object afterwards', () => {
  const router = routerOf([
    { hosts: ['a.test'], paths: ['/a'] },
    { hosts: ['b.test'], paths: ['/b'] },
    { hosts: ['*.c.test'] },
    { paths: ['/x'] },
  ])
  const next = router.with({ put: [routeOf({ id: idOf(9), hosts: ['a.test'], paths: ['/c'] })], remove: [] })
  assert.notEqual(next.tables.exact.get('a.test'), router.tables.exact.get('a.test'))
  assert.equal(next.tables.exact.get('b.test'), router.tables.exact.get('b.test'))
  assert.equal(next.tables.suffix, router.tables.suffix)
  assert.equal(next.tables.any, router.tables.any)
  const emptied = router.with({ put: [], remove: [0, 1, 2, 3].map(idOf) })
  assert.deepEqual(
    [emptied.size, emptied.tables.any, emptied.tables.suffix, emptied.tables.exact.size],
    [0, null, null, 0],
  )
})
