/** Which of two matching routes wins: Kong's priorities as numbers that compare quickly. Rules: `priority` of Kong's routing. */
import { isWildcard, hostKeyOf } from './host-key.ts'
import type { Attributes } from './attributes.ts'
import type { RouterFlavor } from './contract.ts'

export interface Rank {
  /** Compared first; greater wins. Small enough to be compared as an integer. */
  readonly high: number
  /** Compared next: regex_priority of a regex path, length of a plain one. */
  readonly low: number
}

const MAX_HEADERS = 255
/** Bits 0-18 of Kong's 64. */
const MAX_LENGTH = 0x7ffff
const MAX_REGEX_PRIORITY = 0xffff_ffff

export interface RankedPath {
  readonly isRegex: boolean
  /** Bytes of a plain path. */
  readonly length: number
}

/** The rank of a route for one of its paths, null for a route without paths. */
export function rankOf(
  attributes: Attributes,
  path: RankedPath | null,
  regexPriority: number,
  flavor: RouterFlavor,
): Rank {
  const isRegex = path?.isRegex === true
  // A negative regex_priority stays inside its field; in Kong it overwrites the bits above.
  const low = isRegex ? Math.min(regexPriority, MAX_REGEX_PRIORITY) : (path?.length ?? 0) & MAX_LENGTH
  const headers = Math.min(attributes.headers.length, MAX_HEADERS)
  return {
    high:
      flavor === 'traditional'
        ? traditionalHigh(attributes, isRegex, headers)
        : compatibleHigh(attributes, isRegex, headers),
    low,
  }
}

/** Bits 51 to 63 of Kong's priority: kinds (3), plain hosts only (1), header names (8), regex path (1). */
function compatibleHigh(attributes: Attributes, isRegex: boolean, headers: number): number {
  const { hosts } = attributes
  const hasPlainHosts = hosts.length > 0 && !hosts.some(isWildcard)
  return (Math.min(kindsOf(attributes), 7) << 10) | (Number(hasPlainHosts) << 9) | (headers << 1) | Number(isRegex)
}

/** Kinds (3), category (7), submatch (3: wildcard host with port, plain hosts only, regex path), header names (8). */
function traditionalHigh(attributes: Attributes, isRegex: boolean, headers: number): number {
  const { hosts } = attributes
  const category =
    (bit(hosts) << 6) |
    (bit(attributes.headers) << 5) |
    (bit(attributes.paths) << 4) |
    (bit(attributes.methods) << 3) |
    (bit(attributes.snis) << 2) |
    (bit(attributes.sources) << 1) |
    bit(attributes.destinations)
  const wildcardWithPort = hosts.some((host) => isWildcard(host) && hostKeyOf(host).port > 0)
  const submatch = (Number(wildcardWithPort) << 2) | (Number(!hosts.some(isWildcard)) << 1) | Number(isRegex)
  return (kindsOf(attributes) << 18) | (category << 11) | (submatch << 8) | headers
}

/** Number of attributes that Kong has and that are set. */
function kindsOf({ methods, hosts, headers, paths, snis, sources, destinations }: Attributes): number {
  return bit(methods) + bit(hosts) + bit(headers) + bit(paths) + bit(snis) + bit(sources) + bit(destinations)
}

function bit(values: readonly unknown[]): number {
  return values.length > 0 ? 1 : 0
}

/** The parts of a rank, the most important first; of the compatible flavor also Kong's 64-bit number. */
export function describeRank(
  { high, low }: Rank,
  isRegex: boolean,
  flavor: RouterFlavor,
): Readonly<Record<string, number | string>> {
  const last = { [isRegex ? 'regex_priority' : 'path_length']: low }
  if (flavor === 'traditional')
    return {
      attributes: high >> 18,
      category: (high >> 11) & 0x7f,
      submatch: (high >> 8) & 7,
      headers: high & 0xff,
      ...last,
    }
  const number = (BigInt(high) << 51n) + (isRegex ? BigInt(low) << 19n : BigInt(low))
  return {
    attributes: high >> 10,
    plain_hosts_only: (high >> 9) & 1,
    headers: (high >> 1) & 0xff,
    regex_path: high & 1,
    ...last,
    kong_priority: `0x${number.toString(16).padStart(16, '0')}`,
  }
}
