/** What a name stands for: asks for record types in order below the search domains, follows aliases, resolves SRV targets. */
import type { Resolution, ResolvedAddress } from '#core/resolution.ts'
import { expandName } from './dns-name.ts'
import { RCODE, type AddressRecord, type DnsRecord, type RecordType, type SrvRecord } from './message.ts'
import type { QueryResult } from './query.ts'

export interface Found {
  readonly type: 'A' | 'AAAA' | 'SRV'
  readonly addresses: readonly ResolvedAddress[]
  /** The least of all records on the way. */
  readonly ttlSeconds: number
  /** The type of the question that led there. */
  readonly asked: RecordType
}

export interface NotFound {
  /** No such name; no record of these types; a server could not say; no server answered. */
  readonly reason: 'name_error' | 'empty' | 'server' | 'network'
  readonly message: string
}

export interface LookupTools {
  query(name: string, type: RecordType, deadlineMs: number): Promise<QueryResult>
  /** What another name on the way stands for; `addresses` asks for A and AAAA only. */
  resolveOther(name: string, kind: 'any' | 'addresses'): Promise<Resolution>
  nowMs(): number
}

export interface Lookup {
  readonly name: string
  /** In order; each is tried with all names that the search list makes of `name` before the next (Kong's order of loops). */
  readonly types: readonly RecordType[]
  /** Types for the targets of SRV records. */
  readonly addressTypes: readonly ('A' | 'AAAA')[]
  readonly search: readonly string[]
  readonly ndots: number
  readonly deadlineMs: number
}

/** Aliases followed for one name; more are a mistake or an attack. */
const MAX_ALIASES = 8

/** lua-resty-dns' texts, which operators know from Kong's log. */
const RCODE_TEXT: Readonly<Record<number, string>> = {
  [RCODE.formatError]: 'format error',
  [RCODE.serverFailure]: 'server failure',
  [RCODE.nameError]: 'name error',
  [RCODE.notImplemented]: 'not implemented',
  [RCODE.refused]: 'refused',
}

const EMPTY: NotFound = { reason: 'empty', message: 'dns client error: 101 empty record received' }

export async function lookUp(lookup: Lookup, tools: LookupTools): Promise<Found | NotFound> {
  const { name, types, search, ndots, deadlineMs } = lookup
  let worst: NotFound | null = null
  for (const type of types) {
    for (const fullName of expandName(name, search, ndots)) {
      if (tools.nowMs() >= deadlineMs) return worst?.reason === 'server' ? worst : timedOut(fullName)
      const result = await askType(fullName, type, lookup, tools)
      if ('addresses' in result) return result
      // Another type would be a wrong answer when this one may exist but nobody could be asked.
      if (result.reason === 'network') return result
      worst = worse(worst, result)
    }
  }
  return worst ?? EMPTY
}

async function askType(name: string, type: RecordType, lookup: Lookup, tools: LookupTools): Promise<Found | NotFound> {
  let at = name
  let ttlSeconds = Infinity
  for (let alias = 0; alias < MAX_ALIASES; alias++) {
    const result = await tools.query(at, type, lookup.deadlineMs)
    if ('failure' in result) return { reason: 'network', message: `dns client error: ${result.failure}` }
    const { rcode, answers, additionals } = result
    if (rcode !== RCODE.ok) return refusal(rcode)
    if (type === 'CNAME') return await resolveAlias(at, answers, tools)

    const end = followAliases(at, answers)
    if (end === null) return { reason: 'server', message: 'recursion detected' }
    ttlSeconds = Math.min(ttlSeconds, end.ttlSeconds)
    const records = answers.filter((record) => record.name === end.name && record.type === type)
    if (records.length > 0) {
      for (const record of records) ttlSeconds = Math.min(ttlSeconds, record.ttlSeconds)
      if (type === 'SRV')
        return await resolveTargets(name, records as SrvRecord[], additionals, ttlSeconds, lookup, tools)
      return { type, addresses: (records as AddressRecord[]).map(plainAddress), ttlSeconds, asked: type }
    }
    // A server that doesn't recurse gives the alias only: then its target is asked for.
    if (end.name === at || result.hasAuthority) return EMPTY
    at = end.name
  }
  return { reason: 'server', message: 'recursion detected' }
}

/** Where a chain of aliases inside one answer ends, and the least TTL on it; null for a circle. */
function followAliases(name: string, records: readonly DnsRecord[]): { name: string; ttlSeconds: number } | null {
  let at = name
  let ttlSeconds = Infinity
  for (let hop = 0; hop <= records.length; hop++) {
    const alias = records.find((record) => record.name === at && record.type === 'CNAME')
    if (alias?.type !== 'CNAME') return { name: at, ttlSeconds }
    ttlSeconds = Math.min(ttlSeconds, alias.ttlSeconds)
    at = alias.target
  }
  return null
}

async function resolveAlias(
  name: string,
  answers: readonly DnsRecord[],
  tools: LookupTools,
): Promise<Found | NotFound> {
  const alias = answers.find((record) => record.name === name && record.type === 'CNAME')
  if (alias?.type !== 'CNAME') return EMPTY
  const target = await tools.resolveOther(`${alias.target}.`, 'any')
  if (!target.ok) return { reason: target.code === 'name_error' ? 'empty' : 'server', message: target.message }
  const ttlSeconds = Math.min(alias.ttlSeconds, secondsLeft(target, tools))
  return { type: target.type, addresses: target.addresses, ttlSeconds, asked: 'CNAME' }
}

/** The addresses of the targets of the best priority that has any (RFC 2782). */
async function resolveTargets(
  name: string,
  records: readonly SrvRecord[],
  additionals: readonly DnsRecord[],
  recordTtlSeconds: number,
  lookup: Lookup,
  tools: LookupTools,
): Promise<Found | NotFound> {
  // Kubernetes makes a SRV record for each host that points to itself: then the address records are what is meant.
  // A target of '.' says that there is no such service.
  const useful = records.filter((record) => record.target !== name && record.target !== '')
  if (useful.length === 0) return EMPTY

  let failure: NotFound = EMPTY
  for (const priority of [...new Set(useful.map((record) => record.priority))].toSorted((a, b) => a - b)) {
    const group = useful.filter((record) => record.priority === priority)
    const targets = [...new Set(group.map((record) => record.target))]
    const resolved = await Promise.all(targets.map((target) => resolveTarget(target, additionals, lookup, tools)))
    const byTarget = new Map(targets.map((target, index) => [target, resolved[index]!]))

    const addresses: ResolvedAddress[] = []
    let ttlSeconds = recordTtlSeconds
    for (const record of group) {
      const target = byTarget.get(record.target)!
      // A target that can't be resolved now is asked for again when its own failure is no longer cached.
      ttlSeconds = Math.min(ttlSeconds, target.ttlSeconds)
      if ('failure' in target) failure = target.failure
      // Weight 0 means hardly ever and not never; 1 is the least there is. Its addresses share it.
      else for (const ip of target.ips) addresses.push(srvAddress(record, ip, (record.weight || 1) / target.ips.length))
    }
    if (addresses.length > 0) return { type: 'SRV', addresses, ttlSeconds, asked: 'SRV' }
  }
  return failure
}

type TargetAddresses = { readonly ttlSeconds: number } & (
  | { readonly ips: readonly string[] }
  | { readonly failure: NotFound }
)

async function resolveTarget(
  target: string,
  additionals: readonly DnsRecord[],
  lookup: Lookup,
  tools: LookupTools,
): Promise<TargetAddresses> {
  for (const type of lookup.addressTypes) {
    const given = additionals.filter((record) => record.name === target && record.type === type) as AddressRecord[]
    if (given.length > 0) {
      return {
        ips: given.map((record) => record.ip),
        ttlSeconds: Math.min(...given.map((record) => record.ttlSeconds)),
      }
    }
  }
  const resolution = await tools.resolveOther(`${target}.`, 'addresses')
  const ttlSeconds = secondsLeft(resolution, tools)
  if (resolution.ok) return { ips: resolution.addresses.map((address) => address.ip), ttlSeconds }
  const reason = resolution.code === 'name_error' ? 'empty' : 'server'
  return { failure: { reason, message: resolution.message }, ttlSeconds }
}

function plainAddress(record: AddressRecord): ResolvedAddress {
  return { ip: record.ip, port: 0, weight: 0, priority: 0, srvName: null }
}

function srvAddress({ port, priority, target }: SrvRecord, ip: string, weight: number): ResolvedAddress {
  return { ip, port, weight, priority, srvName: target }
}

function secondsLeft(resolution: Resolution, tools: LookupTools): number {
  return Math.max(0, (resolution.expiresAtMs - tools.nowMs()) / 1000)
}

function refusal(rcode: number): NotFound {
  const message = `dns server error: ${rcode} ${RCODE_TEXT[rcode] ?? 'unknown'}`
  return { reason: rcode === RCODE.nameError ? 'name_error' : 'server', message }
}

function timedOut(name: string): NotFound {
  return { reason: 'network', message: `dns client error: timeout while looking up ${name}` }
}

/** The failure that says least about the name: one server that could not answer leaves everything open. */
function worse(before: NotFound | null, after: NotFound): NotFound {
  if (before === null) return after
  const rank = { name_error: 0, empty: 1, server: 2, network: 3 } as const
  return rank[after.reason] >= rank[before.reason] ? after : before
}
