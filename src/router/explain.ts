/** Says why a request goes where it goes: each route that comes into question, what of it holds and what does not, in the order of priority. */
import { attributesOf, unmatchable } from './attributes.ts'
import { hostKeysOf } from './compile-route.ts'
import type { RoutableRequest, RouteMatch, RouterFlavor } from './contract.ts'
import { compareEntries, methodBit, type CompiledRoute, type Entry } from './entry.ts'
import type { HostKey } from './host-key.ts'
import { describeRank } from './rank.ts'
import { portOf, type CompiledRouter } from './router.ts'

/** Everything in it is plain JSON. */
export interface Explanation {
  readonly flavor: string
  /** What the router compared. */
  readonly request: Readonly<Record<string, string | number | boolean | null>>
  readonly match: {
    readonly route: RouteName
    readonly matched_path: string | null
    readonly captures: RouteMatch['captures']
  } | null
  /** Routes that match, best first, then those that come closest, at most `limit`. */
  readonly candidates: readonly Candidate[]
  /** Routes that were looked at, and whether there were more. */
  readonly examined: number
  readonly is_complete: boolean
}

interface RouteName {
  readonly id: string
  readonly name: string | null
}

export interface Candidate {
  readonly route: RouteName
  /** The path of the route that this is about, null for a route without paths. */
  readonly path: string | null
  readonly verdict: 'wins' | 'outranked' | 'fails'
  /** The verdict as a sentence. */
  readonly reason: string
  readonly attributes: readonly AttributeCheck[]
  readonly priority: Priority
}

export interface AttributeCheck {
  readonly attribute: string
  readonly expected: unknown
  readonly actual: unknown
  readonly holds: boolean
}

/** What candidates are ordered by, the most important first. */
export interface Priority {
  /** Kong's own, see `describeRank`. */
  readonly rank: Readonly<Record<string, number | string>>
  readonly query_names: number
  /** Null where age does not count. */
  readonly created_at: number | null
  readonly tie_id: string
}

export interface ExplainOptions {
  /** Candidates that are told about. */
  readonly limit?: number
  /** Routes that are looked at; the index finds the match itself, whatever this is. */
  readonly maxExamined?: number
  /** Id or name of a route that is told about in any case. */
  readonly route?: string
}

const DEFAULT_LIMIT = 20
/** Some 20 ms. */
const DEFAULT_EXAMINED = 10_000

/** Cost grows with the routes that are looked at, so this is for people and not for the request path. */
export function explain(router: CompiledRouter, request: RoutableRequest, options: ExplainOptions = {}): Explanation {
  const { limit = DEFAULT_LIMIT, maxExamined = DEFAULT_EXAMINED } = options
  const port = portOf(request, router.flavor)
  const match = router.match(request)
  const checked: Checked[] = []
  let examined = 0
  for (const compiled of inQuestion(router, match, options.route)) {
    if (examined >= maxExamined) break
    examined++
    for (const entry of onePerPath(compiled)) checked.push(checkEntry(compiled, entry, request, port))
    if (compiled.entries.length === 0) checked.push(checkUnmatchable(router, compiled))
  }
  const isAsked = ({ compiled }: Checked): boolean =>
    compiled.route.id === options.route || compiled.route.name === options.route
  checked.sort((a, b) => failures(a) - failures(b) || compareChecked(a, b))
  const shown = checked.slice(0, limit)
  if (options.route !== undefined) for (const one of checked.slice(limit)) if (isAsked(one)) shown.push(one)
  const best = checked.find((one) => failures(one) === 0) ?? null
  return {
    flavor: router.flavor,
    request: {
      method: request.method,
      scheme: request.scheme,
      host: request.host,
      port,
      path: request.path,
      query: request.query,
      sni: request.sni,
    },
    match: match && { route: nameOf(match.route), matched_path: match.matchedPath, captures: match.captures },
    candidates: shown.map((one) => toCandidate(one, best, router.flavor)),
    examined,
    is_complete: examined === router.size,
  }
}

interface Checked {
  readonly compiled: CompiledRoute
  readonly entry: Entry | null
  readonly attributes: readonly AttributeCheck[]
  readonly problems: readonly string[]
}

/** The match first, and what was asked for, so that a bound on the number does not leave them out. */
function* inQuestion(
  router: CompiledRouter,
  match: RouteMatch | null,
  asked: string | undefined,
): Generator<CompiledRoute> {
  const first = new Set<CompiledRoute>()
  const matched = match === null ? undefined : router.routes.get(match.route.id)
  if (matched !== undefined) first.add(matched)
  if (asked !== undefined)
    for (const compiled of router.routes.values())
      if (compiled.route.id === asked || compiled.route.name === asked) first.add(compiled)
  yield* first
  for (const compiled of router.routes.values()) if (!first.has(compiled)) yield compiled
}

/** Entries of one path differ by the port of the host only, which is checked with the host. */
function onePerPath({ entries }: CompiledRoute): readonly Entry[] {
  return entries.filter((entry, i) => entries.findIndex(({ place }) => place === entry.place) === i)
}

function checkEntry(compiled: CompiledRoute, entry: Entry, request: RoutableRequest, port: number): Checked {
  const { route } = compiled
  const { methods, hosts, paths } = attributesOf(route)
  const attributes: AttributeCheck[] = []
  if (hosts.length > 0) {
    const holds = hostKeysOf(route).some((key) => hostHolds(key, request.host, port))
    attributes.push({ attribute: 'hosts', expected: hosts, actual: `${request.host}:${port}`, holds })
  }
  const path = paths[entry.place]
  if (path !== undefined) {
    const holds = entry.regex === null ? request.path.startsWith(entry.literal) : entry.regex.test(request.path)
    attributes.push({ attribute: 'paths', expected: path, actual: request.path, holds })
  }
  if (methods.length > 0 && entry.conditions?.some(({ attribute }) => attribute === 'methods') !== true) {
    const holds = (entry.methods & methodBit(request.method)) !== 0
    attributes.push({ attribute: 'methods', expected: methods, actual: request.method, holds })
  }
  for (const condition of entry.conditions ?? []) {
    const { attribute, expected } = condition
    attributes.push({ attribute, expected, actual: condition.actual(request), holds: condition.holds(request) })
  }
  return { compiled, entry, attributes, problems: compiled.problems }
}

function checkUnmatchable(router: CompiledRouter, compiled: CompiledRoute): Checked {
  const reason = unmatchable(compiled.route, attributesOf(compiled.route), router.flavor)
  return { compiled, entry: null, attributes: [], problems: reason === null ? compiled.problems : [reason] }
}

function hostHolds(key: HostKey, host: string, port: number): boolean {
  if (host === '' || (key.port !== 0 && key.port !== port)) return false
  if (key.table === 'suffix') return host.endsWith(key.name)
  return key.table === 'prefix' ? host.startsWith(key.name) : host === key.name
}

function failures({ attributes, entry }: Checked): number {
  return entry === null ? Number.MAX_SAFE_INTEGER : attributes.filter(({ holds }) => !holds).length
}

function compareChecked(a: Checked, b: Checked): number {
  if (a.entry !== null && b.entry !== null) return compareEntries(a.entry, b.entry)
  return a.compiled.route.id < b.compiled.route.id ? -1 : 1
}

function toCandidate(one: Checked, best: Checked | null, flavor: RouterFlavor): Candidate {
  const { compiled, entry, attributes, problems } = one
  const { route } = compiled
  const priority = priorityOf(compiled, entry, flavor)
  const shown = {
    route: nameOf(route),
    path: entry === null ? null : (route.paths?.[entry.place] ?? null),
    attributes,
    priority,
  }
  if (entry === null) return { ...shown, verdict: 'fails', reason: `can never match: ${problems.join('; ')}` }
  const failed = attributes.filter(({ holds }) => !holds).map(({ attribute }) => attribute)
  if (failed.length > 0) return { ...shown, verdict: 'fails', reason: `does not match: ${failed.join(', ')}` }
  if (best === null || one === best)
    return { ...shown, verdict: 'wins', reason: 'matches and has the highest priority' }
  const winner = best.compiled.route.name ?? best.compiled.route.id
  const reason = `matches, but ${winner} ${advantage(priorityOf(best.compiled, best.entry, flavor), priority)}`
  return { ...shown, verdict: 'outranked', reason }
}

/** What decided between two matching entries. */
function advantage(winner: Priority, loser: Priority): string {
  for (const [name, value] of Object.entries({ ...winner.rank, query_names: winner.query_names })) {
    const other = name === 'query_names' ? loser.query_names : loser.rank[name]
    if (value !== other) return `goes first by ${name}: ${value}, not ${other ?? 0}`
  }
  if (winner.created_at !== loser.created_at) return 'is older'
  return winner.tie_id === loser.tie_id ? 'has an earlier path' : 'has the greater id'
}

function priorityOf(compiled: CompiledRoute, entry: Entry | null, flavor: RouterFlavor): Priority {
  return {
    rank: entry === null ? {} : describeRank(entry, entry.regex !== null, flavor),
    query_names: compiled.queryNames,
    created_at: compiled.age,
    tie_id: compiled.tieId(entry?.group ?? 0),
  }
}

function nameOf({ id, name }: { readonly id: string; readonly name: string | null }): RouteName {
  return { id, name }
}
