/** Upstreams, targets and names for tests, with a clock and randomness of their own. */
import type { Resolution, ResolvedAddress, Resolver } from '#core/resolution.ts'
import type { Target } from '#model/entities/target.ts'
import type { Upstream } from '#model/entities/upstream.ts'
import { Address } from './address.ts'
import type { Algorithm } from './algorithm.ts'
import type { Balancer, Pick, PickedTarget } from './contract.ts'
import type { Localities } from './locality.ts'
import { createHealthTable, type HealthTable } from './health-table.ts'
import { HealthState } from './health.ts'
import { createUpstreamBalancer, type HealthChange, type UpstreamBalancer } from './upstream-balancer.ts'

type Checks = Upstream['healthchecks']
export interface ChecksChange {
  readonly passive?: {
    readonly healthy?: Partial<Checks['passive']['healthy']>
    readonly unhealthy?: Partial<Checks['passive']['unhealthy']>
  }
  readonly active?: {
    readonly type?: Checks['active']['type']
    readonly healthy?: Partial<Checks['active']['healthy']>
    readonly unhealthy?: Partial<Checks['active']['unhealthy']>
  }
  readonly threshold?: number
}

/** An upstream with the defaults of its definition. */
export function anUpstream(change: Partial<Omit<Upstream, 'healthchecks'>> = {}, checks: ChecksChange = {}): Upstream {
  return {
    id: 'b6a1a3a0-1111-4222-8333-444455556666',
    created_at: 0,
    updated_at: 0,
    name: 'up.test',
    algorithm: 'round-robin',
    hash_on: 'none',
    hash_fallback: 'none',
    hash_on_header: null,
    hash_fallback_header: null,
    hash_on_cookie: null,
    hash_on_cookie_path: '/',
    hash_on_query_arg: null,
    hash_fallback_query_arg: null,
    hash_on_uri_capture: null,
    hash_fallback_uri_capture: null,
    slots: 10_000,
    tags: null,
    host_header: null,
    client_certificate: null,
    use_srv_name: false,
    resilience: null,
    ...change,
    healthchecks: {
      threshold: checks.threshold ?? 0,
      passive: {
        type: 'http',
        healthy: { successes: 0, http_statuses: [200, 302], ...checks.passive?.healthy },
        unhealthy: {
          tcp_failures: 0,
          timeouts: 0,
          http_failures: 0,
          http_statuses: [429, 500, 503],
          ...checks.passive?.unhealthy,
        },
      },
      active: {
        headers: null,
        concurrency: 10,
        http_path: '/',
        https_sni: null,
        https_verify_certificate: true,
        timeout: 1,
        type: checks.active?.type ?? 'http',
        healthy: { successes: 0, interval: 0, http_statuses: [200, 302], ...checks.active?.healthy },
        unhealthy: {
          tcp_failures: 0,
          timeouts: 0,
          http_failures: 0,
          interval: 0,
          http_statuses: [500],
          ...checks.active?.unhealthy,
        },
      },
    },
  }
}

/** What is given, and no more than that. */
export function aResilience(change: Partial<NonNullable<Upstream['resilience']>>): NonNullable<Upstream['resilience']> {
  return { panic: false, slow_start: 0, retry_percent: null, circuit_breaker: null, ...change }
}

export function aTarget(target: string, weight = 100, locality: string | null = null): Target {
  const upstream = { id: 'b6a1a3a0-1111-4222-8333-444455556666' }
  return { id: target, created_at: 0, updated_at: 0, upstream, target, weight, tags: null, locality }
}

/** An address outside of any balancer, for algorithms. */
export function anAddress(ip: string, weight = 100, port = 80, name = ip): Address {
  const address = new Address(ip, port, { name, port }, name, new HealthState())
  address.weight = address.share = weight
  return address
}

/** Gives an algorithm its addresses, in place of those that it had. */
export function setAddresses(
  algorithm: Algorithm,
  addresses: readonly Address[],
  before: readonly Address[] = [],
  targetCount = addresses.length,
): void {
  for (const address of before) if (!addresses.includes(address)) algorithm.remove(address)
  for (const address of addresses) if (!before.includes(address)) algorithm.add(address)
  algorithm.countTargets?.(targetCount)
}

/** Answers as told; literals stand for themselves. Names without an answer stay open until `settle`. */
export class FakeResolver implements Resolver {
  readonly answers = new Map<string, Resolution>()
  readonly asked: string[] = []
  readonly #open = new Map<string, PromiseWithResolvers<Resolution>>()

  resolve(name: string): Resolution | Promise<Resolution> {
    if (/^[\d.]+$|:/.test(name)) return found([name], { type: name.includes(':') ? 'AAAA' : 'A' })
    this.asked.push(name)
    const answer = this.answers.get(name)
    if (answer !== undefined) return answer
    const open = this.#open.get(name) ?? Promise.withResolvers<Resolution>()
    this.#open.set(name, open)
    return open.promise
  }

  settle(name: string, resolution: Resolution): void {
    this.answers.set(name, resolution)
    this.#open.get(name)?.resolve(resolution)
    this.#open.delete(name)
  }

  close(): void {}
}

export function found(ips: readonly string[], change: { type?: 'A' | 'AAAA'; expiresAtMs?: number } = {}): Resolution {
  const addresses = ips.map((ip) => ({ ip, port: 0, weight: 0, priority: 0, srvName: null }))
  return { ok: true, type: 'A', addresses, expiresAtMs: Infinity, ...change }
}

export function foundSrv(addresses: readonly (Partial<ResolvedAddress> & { ip: string })[]): Resolution {
  const filled = addresses.map((address) => ({
    port: 0,
    weight: 1,
    priority: 0,
    srvName: `${address.ip}.test`,
    ...address,
  }))
  return { ok: true, type: 'SRV', addresses: filled, expiresAtMs: Infinity }
}

export function missing(message = 'dns server error: 3 name error', expiresAtMs = Infinity): Resolution {
  return { ok: false, code: 'name_error', message, expiresAtMs }
}

/** The same numbers for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface BalancerBed {
  readonly balancer: UpstreamBalancer
  readonly resolver: FakeResolver
  readonly health: HealthTable
  readonly clock: { now: number }
  readonly changes: HealthChange[]
  readonly panics: boolean[]
}

export function aBalancer(
  upstream: Upstream,
  targets: readonly Target[],
  {
    resolver = new FakeResolver(),
    seed = 1,
    health,
    localities,
  }: { resolver?: FakeResolver; seed?: number; health?: HealthTable; localities?: Localities } = {},
): BalancerBed {
  const clock = { now: 1000 }
  const nowMs = (): number => clock.now
  const table = health ?? createHealthTable({ nowMs })
  const changes: HealthChange[] = []
  const panics: boolean[] = []
  let cookies = 0
  const balancer = createUpstreamBalancer({
    upstream,
    targets,
    resolver,
    health: table,
    ...(localities && { localities }),
    random: seededRandom(seed),
    nowMs,
    uuid: () => `cookie-${++cookies}`,
    onHealthChange: (change) => changes.push(change),
    onPanicChange: (_upstream, isPanicking) => panics.push(isPanicking),
  })
  return { balancer, resolver, health: table, clock, changes, panics }
}

/** The target, where it must be known at once. */
export function pickNow(
  balancer: Balancer,
  hashInput: string | null = null,
  tried: readonly PickedTarget[] = [],
): PickedTarget {
  const pick = balancer.pick(hashInput, tried)
  if (pick instanceof Promise) throw new Error('expected a pick at once, got a promise')
  if (!pick.ok) throw new Error(`expected a target, got ${pick.code}: ${pick.message}`)
  return pick.target
}

export function refusalOf(pick: Pick | Promise<Pick>): string {
  if (pick instanceof Promise) throw new Error('expected a pick at once, got a promise')
  if (pick.ok) throw new Error(`expected a refusal, got ${pick.target.key}`)
  return `${pick.code}: ${pick.message}`
}

/** How often each address was picked, by `ip:port`. */
export function countPicks(balancer: Balancer, times: number, hashInput: string | null = null): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < times; i++) {
    const { ip, port } = pickNow(balancer, hashInput)
    counts[`${ip}:${port}`] = (counts[`${ip}:${port}`] ?? 0) + 1
  }
  return counts
}
