/** Turns a route into what the tables hold: one entry for each path and port, with its rank and conditions. */
import type { Route } from '#model/entities/route.ts'
import { compileSafeRegex, type SafeRegex } from '#core/pcre.ts'
import { attributesOf, unmatchable, type Attributes } from './attributes.ts'
import {
  HeaderCondition,
  MethodCondition,
  NetworkCondition,
  QueryCondition,
  SniCondition,
  type Condition,
} from './conditions.ts'
import type { RouterFlavor } from './contract.ts'
import { CompiledRoute, Entry, OTHER_METHOD, methodBit } from './entry.ts'
import { ANY_HOST, hostKeyOf, type HostKey } from './host-key.ts'
import { decodeEscapes, normalizePath } from './path.ts'
import { rankOf } from './rank.ts'

/** Never fails: what cannot be compiled is left out and told in `problems`. */
export function compileRoute(route: Route, flavor: RouterFlavor): CompiledRoute {
  const attributes = attributesOf(route)
  const compiled = new CompiledRoute(
    route,
    attributes.query.length,
    // Kong 3.9 orders equals by id alone, which is chance; age first is what 2.8 and its traditional flavor do.
    route.created_at ?? 0,
  )
  const reason = unmatchable(route, attributes, flavor)
  if (reason !== null) {
    compiled.problems = [reason]
    return compiled
  }
  const problems: string[] = []
  const methods = attributes.methods.reduce((bits, method) => bits | methodBit(method), 0)
  const conditions = conditionsOf(attributes, methods, flavor, problems)
  const paths = compilePaths(attributes.paths, flavor, problems)
  const ports = new Set(hostKeysOf(route).map((key) => key.port))
  const entries: Entry[] = []
  for (const path of attributes.paths.length === 0 ? [null] : paths) {
    const rank = rankOf(
      attributes,
      path && { isRegex: path.regex !== null, length: path.literal.length },
      route.regex_priority ?? 0,
      flavor,
    )
    for (const port of ports) entries.push(new Entry(compiled, rank, path, port, methods, conditions))
  }
  compiled.entries = entries
  if (problems.length > 0) compiled.problems = problems
  return compiled
}

/** Where the route's entries stand; an entry stands at the keys with its port. */
export function hostKeysOf(route: Route): readonly HostKey[] {
  return route.hosts === null || route.hosts.length === 0 ? [ANY_HOST] : route.hosts.map(hostKeyOf)
}

interface CompiledPath {
  readonly group: number
  readonly place: number
  readonly literal: string
  readonly regex: SafeRegex | null
}

function compilePaths(paths: readonly string[], flavor: RouterFlavor, problems: string[]): CompiledPath[] {
  const groups = groupsOf(paths, flavor)
  const result: CompiledPath[] = []
  paths.forEach((path, place) => {
    const group = groups[place]!
    if (!path.startsWith('~')) {
      result.push({ group, place, literal: normalizePath(toBytes(path)), regex: null })
      return
    }
    const compiled = compileSafeRegex(regexOverBytes(path.slice(1)), { isAnchored: true })
    if (compiled.ok) result.push({ group, place, literal: compiled.regex.literalPrefix, regex: compiled.regex })
    else problems.push(`paths[${place}]: ${compiled.reason}`)
  })
  return result
}

/** Kong makes one matcher of all regexes and one of the plain paths of each length, numbered as they come; one matcher needs no number. */
function groupsOf(paths: readonly string[], flavor: RouterFlavor): readonly number[] {
  const numbers = new Map<number, number>()
  const groups = paths.map((path) => {
    const key = path.startsWith('~') ? 0 : Buffer.byteLength(path)
    const number = numbers.get(key) ?? numbers.size + 1
    numbers.set(key, number)
    return number
  })
  return numbers.size === 1 || flavor === 'traditional' ? groups.map(() => 0) : groups
}

function conditionsOf(
  attributes: Attributes,
  methods: number,
  flavor: RouterFlavor,
  problems: string[],
): readonly Condition[] | null {
  const conditions: Condition[] = []
  if ((methods & OTHER_METHOD) !== 0) conditions.push(new MethodCondition(attributes.methods))
  // Cheap ones first.
  if (attributes.snis.length > 0) conditions.push(new SniCondition(attributes.snis, flavor !== 'traditional'))
  for (const [name, values] of attributes.headers) conditions.push(headerCondition(name, values, flavor, problems))
  for (const [name, values] of attributes.query) conditions.push(new QueryCondition(name, values))
  if (attributes.sources.length > 0) conditions.push(new NetworkCondition('sources', attributes.sources))
  if (attributes.destinations.length > 0) conditions.push(new NetworkCondition('destinations', attributes.destinations))
  return conditions.length === 0 ? null : conditions
}

function headerCondition(
  name: string,
  values: readonly string[],
  flavor: RouterFlavor,
  problems: string[],
): HeaderCondition {
  const mayBeRegex = flavor !== 'traditional' || values.length === 1
  const plain: string[] = []
  const regexes: SafeRegex[] = []
  for (const value of values) {
    if (!mayBeRegex || !value.startsWith('~*')) {
      plain.push(toBytes(value))
      continue
    }
    const compiled = compileSafeRegex(toBytes(value.slice(2)), { lowerCase: true })
    if (compiled.ok) regexes.push(compiled.regex)
    else problems.push(`headers.${name}: ${compiled.reason}`)
  }
  return new HeaderCondition(name, values, plain, regexes)
}

/** The text as it comes over the wire: UTF-8, one character a byte. */
function toBytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}

/** A regex over normalised paths: its escapes are decoded like a path's, without becoming syntax. */
function regexOverBytes(source: string): string {
  return toBytes(source).replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const decoded = decodeEscapes(escape)
    return decoded.length > 1 || /\w/.test(decoded) ? decoded : `\\${decoded}`
  })
}
