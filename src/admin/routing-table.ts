/**
 * The endpoints by path. A path is literal segments and `{parameters}`; a literal wins over a parameter, so that
 * `/upstreams/{upstreams}/targets/all` is not a target of the name `all`.
 */
import type { Endpoint } from './endpoint.ts'

export interface RoutingTable {
  /** `segments` are not decoded yet; the parameters of the match are. */
  match(segments: readonly string[]): PathMatch | null
  readonly endpoints: readonly Endpoint[]
}

export interface PathMatch {
  readonly endpoint: Endpoint
  /** The segments for the parameters, as they were sent. */
  readonly parameters: Readonly<Record<string, string>>
}

interface Branch {
  readonly literals: Map<string, Branch>
  parameter: Branch | null
  endpoint: Endpoint | null
}

/** Throws when two endpoints have the same path: that is a mistake in the program. */
export function createRoutingTable(endpoints: readonly Endpoint[]): RoutingTable {
  const root = createBranch()
  for (const endpoint of endpoints) {
    let branch = root
    for (const segment of segmentsOf(endpoint.path)) branch = step(branch, segment)
    if (branch.endpoint !== null) throw new Error(`two endpoints for ${endpoint.path}: ${branch.endpoint.path}`)
    branch.endpoint = endpoint
  }
  return { match: (segments) => matchPath(root, segments), endpoints }
}

/** Segments of a request's path: a slash at the end is ignored, null for paths that no endpoint can have (`//`). */
export function splitPath(path: string): readonly string[] | null {
  if (!path.startsWith('/')) return null
  if (path === '/') return []
  const segments = path.slice(1).split('/')
  if (segments.at(-1) === '') segments.pop()
  return segments.includes('') ? null : segments
}

/** `/a/{b}` as `['a', '{b}']`. */
export function segmentsOf(path: string): readonly string[] {
  return path === '/' ? [] : path.slice(1).split('/')
}

export function isParameter(segment: string): boolean {
  return segment.startsWith('{')
}

function createBranch(): Branch {
  return { literals: new Map(), parameter: null, endpoint: null }
}

function step(branch: Branch, segment: string): Branch {
  if (isParameter(segment)) return (branch.parameter ??= createBranch())
  let next = branch.literals.get(segment)
  if (next === undefined) branch.literals.set(segment, (next = createBranch()))
  return next
}

function matchPath(root: Branch, segments: readonly string[]): PathMatch | null {
  const endpoint = find(root, segments, 0)
  if (endpoint === null) return null
  const parameters: Record<string, string> = {}
  for (const [i, segment] of segmentsOf(endpoint.path).entries()) {
    if (isParameter(segment)) parameters[segment.slice(1, -1)] = segments[i]!
  }
  return { endpoint, parameters }
}

// Depth is bounded by the longest path of an endpoint, so the two branches tried per segment stay cheap.
function find(branch: Branch, segments: readonly string[], at: number): Endpoint | null {
  const segment = segments[at]
  if (segment === undefined) return branch.endpoint
  const literal = branch.literals.get(segment)
  const found = literal === undefined ? null : find(literal, segments, at + 1)
  return found ?? (branch.parameter === null ? null : find(branch.parameter, segments, at + 1))
}
