/** Kong's recorded answers, as far as they are decided by the router alone. Skipped where the corpus is not at hand. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { HeaderList } from '#http/header-list.ts'
import type { Route } from '#model/entities/route.ts'
import type { RoutableRequest } from './contract.ts'
import { escapeUpstreamPath, normalizePath, upstreamPath } from './path.ts'
import { createRouter, type CompiledRouter } from './router.ts'
import { requestOf, routeOf, type RouteInput } from './testing.ts'

const TOPICS = new URL('../../../shared/kong-corpus/topics/', import.meta.url)
const LISTENER_PORT = 8000

/** Recorded on 2.8, where the answer of 3.9's default flavor is another one. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'path /open/longer/prefix': 'a regex goes before a longer plain path; the 2.8 config has the regex as a plain path',
  'path /open/longer/prefix/more': 'the same',
  'regex over prefix': 'the same',
  'plain /sni': 'server names count for requests with TLS only, so that the route matches and asks for HTTPS',
  'plain /snih': 'the same; the route takes HTTP too',
}

interface Service {
  readonly path?: string
  readonly routes?: readonly RouteInput[]
}
interface Case {
  readonly name: string
  readonly to?: string
  readonly request?: {
    readonly method?: string
    readonly target?: string
    readonly host?: string
    readonly noHost?: boolean
    readonly headers?: Readonly<Record<string, string | readonly string[]>> | readonly (readonly [string, string])[]
    readonly sni?: string
    readonly raw?: unknown
  }
  readonly expect: {
    readonly status?: number
    readonly json?: { readonly message?: string }
    readonly upstream?: { readonly target: string; readonly headers: Readonly<Record<string, string>> } | null
  }
}

const files = existsSync(TOPICS) ? readdirSync(TOPICS).filter((name) => /^router-.*\.json$/.test(name)) : []

test('the corpus is at hand', { skip: files.length === 0 && 'no corpus beside the repository' }, () => {
  assert.ok(files.length >= 11)
})

for (const file of files) {
  const topic = JSON.parse(
    readFileSync(new URL(file, TOPICS), 'utf8')
      .replaceAll(/"\$\{int:\w+\}"/g, '1')
      .replaceAll('${proxyPort}', String(LISTENER_PORT)),
  ) as { config: { services?: Service[]; routes?: RouteInput[] }; cases: Case[] }
  const flavor = file.includes('v1') ? 'traditional' : 'traditional_compatible'

  test(`${file}: requests go where they went in Kong`, () => {
    const servicePaths = new Map<string, string | null>()
    const put: Route[] = []
    const add = (input: RouteInput, service: Service | null): void => {
      const route = routeOf({ ...input, id: idOf(String(input.name)) })
      servicePaths.set(route.id, service?.path ?? null)
      put.push(route)
    }
    for (const service of topic.config.services ?? []) for (const input of service.routes ?? []) add(input, service)
    for (const input of topic.config.routes ?? []) add(input, null)
    const router = createRouter({ flavor }).with({ put, remove: [] })
    assert.deepEqual(router.stats.problems, [])

    let checked = 0
    for (const one of topic.cases) {
      const { status, upstream } = one.expect
      const isDecided = status === 404 || (status === 200 && upstream !== undefined && upstream !== null)
      if (!isDecided || one.request?.target === undefined) continue
      checked++
      const expected =
        status === 404 ? null : [upstream?.target.replace(/\?.*/, ''), upstream?.headers['x-forwarded-prefix']]
      const found = sentUpstream(router, routable(one), servicePaths)
      if (DIFFERENT[one.name] === undefined) assert.deepEqual(found, expected, one.name)
      else assert.notDeepEqual(found, expected, `${one.name} is no exception any more`)
    }
    assert.ok(checked > 3, `${checked} cases were checked`)
  })
}

/** Path and prefix that the upstream gets, null when no route matches. */
function sentUpstream(
  router: CompiledRouter,
  request: RoutableRequest,
  servicePaths: ReadonlyMap<string, string | null>,
): [path: string, prefix: string | undefined] | null {
  const match = router.match(request)
  if (match === null) return null
  const { route, matchedPath } = match
  const path = upstreamPath({
    servicePath: servicePaths.get(route.id) ?? null,
    matchedPath,
    stripPath: route.strip_path,
    requestPath: request.path,
    pathHandling: router.flavor === 'traditional' && route.path_handling === 'v1' ? 'v1' : 'v0',
  })
  const hasPrefix = route.strip_path && matchedPath !== null && matchedPath !== '/'
  return [escapeUpstreamPath(path), hasPrefix ? matchedPath : undefined]
}

function routable(one: Case): RoutableRequest {
  const { method, target, host, noHost, headers, sni } = one.request!
  const [, authority = '', port] = noHost === true ? [] : (/^(.*?)(?::(\d*))?$/.exec(host ?? 'gw.test') ?? [])
  const relative = target!.replace(/^https?:\/\/[^/]*/, '')
  const mark = relative.indexOf('?')
  const list = Array.isArray(headers)
    ? (headers as readonly (readonly [string, string])[])
    : Object.entries(headers ?? {}).flatMap(([name, value]) => [value].flat().map((text) => [name, text] as const))
  return requestOf({
    method: method ?? 'GET',
    scheme: one.to === 'tls' ? 'https' : 'http',
    host: authority,
    hasHostPort: port !== undefined && port !== '',
    port: port === undefined || port === '' ? LISTENER_PORT : Number(port),
    path: normalizePath(mark < 0 ? relative : relative.slice(0, mark)),
    query: mark < 0 ? null : relative.slice(mark + 1),
    headers: HeaderList.from(list),
    sni: sni ?? null,
  })
}

function idOf(name: string): string {
  return createHash('md5')
    .update(name)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
