/**
 * What the router costs with 100 and with 100,000 routes: building, changing one route at 50,000, matching. Prints JSON.
 *
 *     node bench/scale/router.ts [hosts|one-host|no-host|ten-hosts|five-paths]...
 *
 * Each match gets a request as the codec makes it: host and path freshly cut from a received head, so that nothing about them is cached.
 * `match` cycles over 100 requests, `cold` over 100,000: there most of the time goes into waiting for memory.
 */
import { HeaderList } from '#http/header-list.ts'
import type { RoutableRequest } from '#router/contract.ts'
import { createRouter, type CompiledRouter } from '#router/router.ts'
import { requestOf, routeOf, type RouteInput } from '#router/testing.ts'

interface Layout {
  readonly route: (i: number) => RouteInput
  readonly host: (i: number) => string
  readonly path: (i: number) => string
}

const LAYOUTS: Readonly<Record<string, Layout>> = {
  hosts: {
    route: (i) => ({ hosts: [`h${i}.example.com`], paths: ['/api'] }),
    host: (i) => `h${i}.example.com`,
    path: () => '/api/users/42',
  },
  'one-host': {
    route: (i) => ({ hosts: ['api.example.com'], paths: [`/services/s${i}/items`] }),
    host: () => 'api.example.com',
    path: (i) => `/services/s${i}/items/42`,
  },
  'no-host': {
    route: (i) => ({ paths: [`/services/s${i}/items`] }),
    host: () => 'api.example.com',
    path: (i) => `/services/s${i}/items/42`,
  },
  'ten-hosts': {
    route: (i) => ({ hosts: [`h${i % 10}.example.com`], paths: [`/svc${i}/v1`], methods: ['GET', 'POST'] }),
    host: (i) => `h${i % 10}.example.com`,
    path: (i) => `/svc${i}/v1/users`,
  },
  'five-paths': {
    route: (i) => ({
      hosts: [`h${i % 10}.example.com`],
      paths: [`/a${i}`, `/bb${i}/x`, `/ccc/${i}/yy`, `/dddd/${i}`, `~/e/${i}/\\d+`],
    }),
    host: (i) => `h${i % 10}.example.com`,
    path: (i) => `/ccc/${i}/yy/z`,
  },
}

const SIZES = [100, 100_000] as const
const CHANGED = 50_000
const headers = HeaderList.from([
  ['Accept', '*/*'],
  ['User-Agent', 'bench'],
])

interface Head {
  readonly text: string
  readonly hostEnd: number
  readonly pathEnd: number
}

function headOf(layout: Layout, i: number): Head {
  const host = layout.host(i)
  const path = layout.path(i)
  const text = Buffer.from(`${host} ${path} ${'x'.repeat(300)}`, 'latin1').toString('latin1')
  return { text, hostEnd: host.length, pathEnd: host.length + 1 + path.length }
}

function parse({ text, hostEnd, pathEnd }: Head): RoutableRequest {
  return { ...TEMPLATE, host: text.slice(0, hostEnd), path: text.slice(hostEnd + 1, pathEnd) }
}
const TEMPLATE = requestOf({ headers })

/** Nanoseconds a match, the best of some rounds for each router, in turns. */
function matchNs(
  routers: readonly CompiledRouter[],
  heads: readonly (readonly Head[])[],
  rounds: number,
  count: number,
): number[] {
  const best = routers.map(() => Infinity)
  for (let round = 0; round < rounds; round++)
    routers.forEach((router, which) => {
      const list = heads[which]!
      let found = 0
      const start = process.hrtime.bigint()
      for (let i = 0; i < count; i++) if (router.match(parse(list[i % list.length]!)) !== null) found++
      const ns = Number(process.hrtime.bigint() - start) / count
      if (found !== count) throw new Error(`${count - found} requests found no route`)
      best[which] = Math.min(best[which]!, ns)
    })
  return best.map(Math.round)
}

/** Milliseconds of putting anew, adding and removing one route. */
function changeMs(layout: Layout): { p50: number; p99: number; max: number } {
  let router = build(layout, CHANGED).router
  const times: number[] = []
  for (let i = 0; i < 2000; i++) {
    const extra = CHANGED + Math.floor(i / 3)
    const changed = i % 3 === 0 ? (i * 7919) % CHANGED : extra
    const change =
      i % 3 === 2
        ? { put: [], remove: [idOf(extra)] }
        : { put: [routeOf({ ...layout.route(changed), id: idOf(changed) })], remove: [] }
    const start = performance.now()
    router = router.with(change)
    times.push(performance.now() - start)
  }
  times.sort((a, b) => a - b)
  const at = (share: number): number => Number(times[Math.floor((times.length - 1) * share)]!.toFixed(3))
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

function build(layout: Layout, size: number): { router: CompiledRouter; ms: number; heapMb: number } {
  const put = Array.from({ length: size }, (_, i) => routeOf({ ...layout.route(i), id: idOf(i) }))
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  const start = performance.now()
  const router = createRouter({ flavor: 'traditional_compatible' }).with({ put, remove: [] })
  const ms = Math.round(performance.now() - start)
  globalThis.gc?.()
  return { router, ms, heapMb: Math.round((process.memoryUsage().heapUsed - before) / 1e5) / 10 }
}

function idOf(i: number): string {
  const hex = (Math.imul(i + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0')
  return `${hex}-${hex.slice(0, 4)}-4${hex.slice(1, 4)}-a${hex.slice(2, 5)}-${hex}${hex.slice(0, 4)}`
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(LAYOUTS)
for (const name of names) {
  const layout = LAYOUTS[name]
  if (layout === undefined) throw new Error(`layout: expected one of ${Object.keys(LAYOUTS).join(', ')}, got ${name}`)
  const built = SIZES.map((size) => build(layout, size))
  const routers = built.map(({ router }) => router)
  const heads = (count: number): Head[][] =>
    SIZES.map((size) => Array.from({ length: count }, (_, i) => headOf(layout, (i * 7919) % size)))
  const [small = 0, large = 0] = matchNs(routers, heads(100), 12, 100_000)
  const [coldSmall, coldLarge] = matchNs(routers, heads(100_000), 3, 100_000)
  const figures = {
    layout: name,
    build_ms: built.map(({ ms }) => ms),
    heap_mb: typeof globalThis.gc === 'function' ? built.map(({ heapMb }) => heapMb) : 'run with --expose-gc',
    match_ns: [small, large],
    ratio: Number((large / small).toFixed(2)),
    cold_ns: [coldSmall, coldLarge],
    change_ms: changeMs(layout),
  }
  console.log(JSON.stringify(figures))
}
