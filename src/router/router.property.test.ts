/** The router against a scan over all routes that follows the rules word by word. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { HeaderList } from '#http/header-list.ts'
import type { Route } from '#model/entities/route.ts'
import type { RoutableRequest, RouteMatch, RouterFlavor } from './contract.ts'
import { createRouter } from './router.ts'
import { routeOf, requestOf, type RouteInput } from './testing.ts'

const FLAVORS = ['traditional_compatible', 'traditional'] as const

/** Regex paths that mean the same in JavaScript. */
const REGEXES = ['~/a/\\d+', '~/a/(?<id>\\d+)/b$', '~/[ab]/1', '~/(a|b)', '~/a/.*', '~/b.?']
const PLAIN = ['/', '/a', '/a/', '/a/1', '/b', '/ab', '/a/1/b', '/b/22']

const subset = <T>(values: readonly T[], maxLength: number): fc.Arbitrary<T[] | null> =>
  fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength }), { freq: 2 })

const ids = Array.from({ length: 12 }, (_, i) => createHash('md5').update(`${i}`).digest('hex')).map(
  (hex) => `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`,
)

const values = fc.uniqueArray(fc.constantFrom('1', 'Two', '~*^t', '~*\\d$', '2'), { minLength: 1, maxLength: 2 })
const route = fc
  .record({
    id: fc.constantFrom(...ids),
    created_at: fc.integer({ min: 1, max: 4 }),
    protocols: fc.constantFrom(['http', 'https'], ['https'], ['http'], ['grpc'], ['tcp']),
    methods: subset(['GET', 'POST', 'PURGE', 'LINK'], 2),
    hosts: subset(
      ['a.test', 'b.test', '*.a.test', '*.test', 'x.*', 'a.*', 'a.test:81', '*.a.test:81', 'b.test:80', 'b.test:443'],
      3,
    ),
    paths: subset([...PLAIN, ...REGEXES], 4),
    headers: fc.option(fc.dictionary(fc.constantFrom('x-a', 'X_B', 'X-C'), values, { maxKeys: 2 }), { freq: 1 }),
    snis: fc.option(subset(['a.test', 'b.test.', '*.a.test', 'x.*'], 2), { freq: 1, nil: null }),
    query: fc.option(
      fc.dictionary(fc.constantFrom('v', 'w'), fc.uniqueArray(fc.constantFrom('1', '2'), { maxLength: 2 }), {
        maxKeys: 2,
      }),
      { freq: 1 },
    ),
    regex_priority: fc.integer({ min: 0, max: 2 }),
  })
  .map((input) => routeOf(input as RouteInput))

const request = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'PURGE', 'LOCK'),
    scheme: fc.constantFrom('http' as const, 'https' as const),
    host: fc.constantFrom('a.test', 'b.test', 'x.a.test', 'x.test', 'c.test', 'A.test', ''),
    hostPort: fc.constantFrom(null, 81, 80, 443),
    path: fc.constantFrom(...PLAIN, '/a/12', '/a/12/b', '/bb', '/c', '/a/1/b/c', '/ab/1', '*'),
    query: fc.constantFrom(null, '', 'v=1', 'v=2&w=1', 'w', 'x=1&v=1', 'v=3'),
    headers: fc.array(
      fc.tuple(
        fc.constantFrom('x-a', 'X-A', 'x_b', 'X-B', 'x-c'),
        fc.constantFrom('1', 'two', 'TWO', 'three', '2', ''),
      ),
      { maxLength: 3 },
    ),
    sni: fc.constantFrom(null, 'a.test', 'b.test', 'x.a.test'),
  })
  .map(({ headers, hostPort, ...rest }) =>
    requestOf({ ...rest, headers: HeaderList.from(headers), hasHostPort: hostPort !== null, port: hostPort ?? 8000 }),
  )

const routes = fc
  .array(route, { maxLength: 10 })
  .map((list) => [...new Map(list.map((item) => [item.id, item])).values()])

for (const flavor of FLAVORS) {
  test(`${flavor}: finds the route that a scan over all routes finds`, () => {
    fc.assert(
      fc.property(routes, fc.array(request, { minLength: 1, maxLength: 5 }), (put, requests) => {
        const router = createRouter({ flavor }).with({ put, remove: [] })
        for (const one of requests) assert.deepEqual(router.match(one), slowMatch(put, one, flavor))
      }),
      { numRuns: 4000 },
    )
  })

  test(`${flavor}: many routes that differ only by header, query or server name are told apart as by a scan`, () => {
    const similar = fc.record({
      methods: subset(['GET', 'POST'], 1),
      headers: fc.option(fc.dictionary(fc.constantFrom('x-a', 'x-b'), values, { maxKeys: 2 })),
      snis: subset(['a.test', 'b.test', '*.a.test'], 2),
      query: fc.option(fc.dictionary(fc.constantFrom('v'), fc.subarray(['1', '2']))),
    })
    const many = fc
      .array(similar, { minLength: 30, maxLength: 60 })
      .map((list) => list.map((input, i) => routeOf({ ...input, id: idOf(i), created_at: i % 5, paths: ['/a'] })))
    fc.assert(
      fc.property(
        many,
        fc.array(fc.nat(59)),
        fc.array(request, { minLength: 1, maxLength: 10 }),
        (put, gone, requests) => {
          const remove = gone.map(idOf)
          const kept = put.filter(({ id }) => !remove.includes(id))
          const router = createRouter({ flavor }).with({ put, remove: [] }).with({ put: [], remove })
          for (const one of requests) {
            const aimed = { ...one, path: '/a' }
            assert.deepEqual(router.match(aimed), slowMatch(kept, aimed, flavor))
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test(`${flavor}: a router that was changed step by step answers like one built from nothing, and the old one as before`, () => {
    const change = fc.record({ put: routes, remove: fc.subarray(ids) })
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 5 }),
        fc.array(request, { minLength: 1, maxLength: 8 }),
        (changes, requests) => {
          let router = createRouter({ flavor })
          const current = new Map<string, Route>()
          for (const { put, remove } of changes) {
            const before = requests.map((one) => router.match(one))
            const next = router.with({ put, remove })
            for (const id of remove) current.delete(id)
            for (const item of put) current.set(item.id, item)
            const fresh = createRouter({ flavor }).with({ put: [...current.values()], remove: [] })
            assert.equal(next.size, current.size)
            requests.forEach((one, i) => {
              assert.deepEqual(next.match(one), fresh.match(one))
              assert.deepEqual(router.match(one), before[i])
            })
            router = next
          }
        },
      ),
      { numRuns: 500 },
    )
  })
}

function idOf(i: number): string {
  return `${String(i).padStart(8, '0')}-0000-4000-8000-000000000000`
}

interface Candidate {
  readonly order: readonly (number | bigint)[]
  readonly tie: string
  readonly match: RouteMatch
}

/** Every route, every rule, then the greatest. */
function slowMatch(all: readonly Route[], request: RoutableRequest, flavor: RouterFlavor): RouteMatch | null {
  const candidates: Candidate[] = []
  for (const item of all) {
    if (!item.protocols.some((protocol) => ['http', 'https', 'grpc', 'grpcs'].includes(protocol))) continue
    if (!attributesHold(item, request, flavor)) continue
    const query = item.query ?? {}
    const order = [Object.keys(query).length, -item.created_at]
    if (item.paths === null) {
      if (hasNothing(item)) continue
      candidates.push({ order: [...priority(item, null, flavor), ...order], tie: item.id, match: answer(item, null) })
      continue
    }
    const keys = [...new Set(item.paths.map((path) => (path.startsWith('~') ? 0 : path.length)))]
    for (const path of item.paths) {
      const found = path.startsWith('~')
        ? new RegExp(`^(?:${path.slice(1)})`).exec(request.path)
        : request.path.startsWith(path)
          ? [path]
          : null
      if (found === null) continue
      const group = keys.indexOf(path.startsWith('~') ? 0 : path.length) + 1
      const isSplit = flavor !== 'traditional' && keys.length > 1
      candidates.push({
        order: [...priority(item, path, flavor), ...order],
        tie: isSplit ? uuidV5(`${item.id}#${group}`) : item.id,
        match: answer(item, found),
      })
    }
  }
  // Sorting is stable: of the paths of one route the first stays first.
  candidates.sort((a, b) => {
    for (let i = 0; i < a.order.length; i++) if (a.order[i] !== b.order[i]) return a.order[i]! > b.order[i]! ? -1 : 1
    return a.tie === b.tie ? 0 : a.tie > b.tie ? -1 : 1
  })
  return candidates[0]?.match ?? null
}

function hasNothing(item: Route): boolean {
  const { query } = item
  return (
    [item.methods, item.hosts, item.snis].every((list) => list === null) &&
    !Object.keys({ ...item.headers, ...query }).length
  )
}

function attributesHold(item: Route, request: RoutableRequest, flavor: RouterFlavor): boolean {
  if (item.methods !== null && !item.methods.includes(request.method)) return false
  if (item.hosts !== null && !item.hosts.some((host) => hostHolds(host, request, flavor))) return false
  for (const [name, wanted] of Object.entries(item.headers ?? {})) {
    const same = (other: string): boolean =>
      other.toLowerCase().replace('_', '-') === name.toLowerCase().replace('_', '-')
    const received = [...request.headers].filter(([other]) => same(other)).map(([, value]) => value.toLowerCase())
    const isRegex = (value: string): boolean =>
      value.startsWith('~*') && (flavor !== 'traditional' || wanted.length === 1)
    const holds = wanted.some((value) =>
      received.some((text) =>
        isRegex(value) ? new RegExp(value.slice(2).toLowerCase()).test(text) : text === value.toLowerCase(),
      ),
    )
    if (!holds) return false
  }
  if (item.snis !== null && request.scheme === 'https' && !item.snis.some((sni) => sniHolds(sni, request.sni, flavor)))
    return false
  const args = new URLSearchParams(request.query ?? '')
  for (const [name, wanted] of Object.entries(item.query ?? {}))
    if (!args.has(name) || (wanted.length > 0 && !args.getAll(name).some((value) => wanted.includes(value))))
      return false
  return true
}

function hostHolds(host: string, request: RoutableRequest, flavor: RouterFlavor): boolean {
  const [name, port] = host.split(':')
  const standard = request.scheme === 'https' ? 443 : 80
  const asked = flavor === 'traditional' && !request.hasHostPort ? standard : request.port
  if (port !== undefined && Number(port) !== asked) return false
  return request.host !== '' && patternHolds(name!, request.host)
}

function sniHolds(sni: string, asked: string | null, flavor: RouterFlavor): boolean {
  const name = sni.replace(/\.$/, '')
  return asked !== null && (flavor === 'traditional' ? name === asked : patternHolds(name, asked))
}

function patternHolds(pattern: string, text: string): boolean {
  if (pattern.startsWith('*')) return text.endsWith(pattern.slice(1))
  if (pattern.endsWith('*')) return text.startsWith(pattern.slice(0, -1))
  return text === pattern
}

function priority(item: Route, path: string | null, flavor: RouterFlavor): (number | bigint)[] {
  const headers = Object.keys(item.headers ?? {}).length
  const kinds = [item.hosts, headers > 0 ? item.headers : null, item.paths, item.methods, item.snis].map((value) =>
    Number(value !== null),
  )
  const count = kinds.reduce((sum, kind) => sum + kind, 0)
  const isRegex = path?.startsWith('~') === true
  const isPlainHost = !(item.hosts ?? []).some((host) => host.includes('*'))
  const length = isRegex ? 0 : (path?.length ?? 0)
  const regexPriority = isRegex ? (item.regex_priority ?? 0) : 0
  if (flavor !== 'traditional') {
    return [
      (BigInt(count) << 61n) |
        (BigInt(isPlainHost && item.hosts !== null) << 60n) |
        (BigInt(headers) << 52n) |
        (BigInt(isRegex) << 51n) |
        (BigInt(regexPriority) << 19n) |
        BigInt(length),
    ]
  }
  const category = kinds.reduce((mask, kind, i) => mask | (kind * (64 >> i)), 0)
  const wildcardPort = (item.hosts ?? []).some((host) => host.includes('*') && host.includes(':'))
  return [
    count,
    category,
    Number(wildcardPort) * 4 + Number(isPlainHost) * 2 + Number(isRegex),
    headers,
    regexPriority,
    length,
  ]
}

function answer(item: Route, found: readonly string[] | RegExpExecArray | null): RouteMatch {
  if (found === null || found.length === 1) return { route: item, matchedPath: found?.[0] ?? null, captures: null }
  const { groups } = found as RegExpExecArray
  return { route: item, matchedPath: found[0], captures: { named: { ...groups }, unnamed: found.slice(1) } }
}

function uuidV5(name: string): string {
  const bytes = createHash('sha1').update(Buffer.from('7f145bf90dce4f9198ebdebbce4b9f6b', 'hex')).update(name).digest()
  bytes.writeUInt8((bytes.readUInt8(6) % 16) + 0x50, 6)
  bytes.writeUInt8((bytes.readUInt8(8) % 64) + 0x80, 8)
  return bytes
    .toString('hex')
    .slice(0, 32)
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
