/** A route under one of its paths, as the tables hold it. */
import { hash } from 'node:crypto'
import type { Route } from '#model/entities/route.ts'
import type { SafeRegex } from '#core/pcre.ts'
import type { Condition } from './conditions.ts'
import type { RouteMatch } from './contract.ts'
import type { Rank } from './rank.ts'

const NONE: readonly never[] = []

/** A route with all its entries; what decides between routes of equal rank. */
export class CompiledRoute {
  readonly route: Route
  /** Number of query names, ours: more of them win between routes that Kong thinks equal. */
  readonly queryNames: number
  /** Creation time where the older of equal routes wins, 0 elsewhere. */
  readonly age: number
  /** Set once by the compiler, which needs the route to make its entries. */
  entries: readonly Entry[] = NONE
  /** What of the route cannot be matched, and why. */
  problems: readonly string[] = NONE
  #groupIds: (string | undefined)[] | null = null

  constructor(route: Route, queryNames: number, age: number) {
    this.route = route
    this.queryNames = queryNames
    this.age = age
  }

  /** The id by which Kong orders equal matchers: the route's, or one derived for a group of its paths. Made when first needed. */
  tieId(group: number): string {
    if (group === 0) return this.route.id.toLowerCase()
    this.#groupIds ??= []
    return (this.#groupIds[group] ??= uuidV5(PATH_GROUPS, `${this.route.id}#${group}`))
  }
}

/** What a match looks at first stands first, so that it is in one line of the processor's cache. */
export class Entry {
  readonly isList = false
  /** Bits of the methods, 0 for any. */
  readonly methods: number
  /** The port that the request must be for, 0 for any. */
  readonly port: number
  readonly regex: SafeRegex | null
  /** Null when there are none. */
  readonly conditions: readonly Condition[] | null
  /** The answer, where it is the same for every request: not for regex paths. */
  readonly answer: RouteMatch | null
  readonly high: number
  readonly low: number
  readonly owner: CompiledRoute
  /** Number of the group of paths that share a rank, counted from 1; 0 when the route has one group only. */
  readonly group: number
  /** Position in the route's paths. */
  readonly place: number
  /** Text that the path must begin with: all of a plain path, the certain beginning of a regex, '' without paths. */
  readonly literal: string

  constructor(
    owner: CompiledRoute,
    rank: Rank,
    path: {
      readonly group: number
      readonly place: number
      readonly literal: string
      readonly regex: SafeRegex | null
    } | null,
    port: number,
    methods: number,
    conditions: readonly Condition[] | null,
  ) {
    this.methods = methods
    this.port = port
    this.regex = path?.regex ?? null
    this.conditions = conditions
    this.answer =
      this.regex === null ? { route: owner.route, matchedPath: path?.literal ?? null, captures: null } : null
    this.high = rank.high
    this.low = rank.low
    this.owner = owner
    this.group = path?.group ?? 0
    this.place = path?.place ?? 0
    this.literal = path?.literal ?? ''
  }
}

/** Negative when `a` is tried before `b`. */
export function compareEntries(a: Entry, b: Entry): number {
  if (a.high !== b.high) return b.high - a.high
  if (a.low !== b.low) return b.low - a.low
  if (a.owner.queryNames !== b.owner.queryNames) return b.owner.queryNames - a.owner.queryNames
  if (a.owner.age !== b.owner.age) return a.owner.age - b.owner.age
  if (a.owner !== b.owner || a.group !== b.group) {
    const first = a.owner.tieId(a.group)
    const second = b.owner.tieId(b.group)
    if (first !== second) return first > second ? -1 : 1
  }
  return a.place - b.place || a.port - b.port
}

/** Bit of a method; every unusual one has the same and is compared as text besides. */
export const OTHER_METHOD = 1 << 9

export function methodBit(method: string): number {
  switch (method) {
    case 'GET':
      return 1
    case 'POST':
      return 1 << 1
    case 'PUT':
      return 1 << 2
    case 'DELETE':
      return 1 << 3
    case 'PATCH':
      return 1 << 4
    case 'HEAD':
      return 1 << 5
    case 'OPTIONS':
      return 1 << 6
    case 'TRACE':
      return 1 << 7
    case 'CONNECT':
      return 1 << 8
    default:
      return OTHER_METHOD
  }
}

/** Kong's namespace for the ids of routes that it splits by their paths. */
const PATH_GROUPS = Buffer.from('7f145bf90dce4f9198ebdebbce4b9f6b', 'hex')

/** RFC 9562 section 5.5. */
function uuidV5(namespace: Buffer, name: string): string {
  const digest = hash('sha1', Buffer.concat([namespace, Buffer.from(name)]), 'buffer')
  digest[6] = (digest[6]! & 0x0f) | 0x50
  digest[8] = (digest[8]! & 0x3f) | 0x80
  const hex = digest.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}
