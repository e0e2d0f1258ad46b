/**
 * The balancer of one upstream entity: its targets with their addresses, their health, and the algorithm that chooses. It
 * lives as long as the upstream does and takes changes in place, so that load and health of what stays are kept.
 */
import type { Resolver } from '#core/resolution.ts'
import type { Target } from '#model/entities/target.ts'
import type { Upstream } from '#model/entities/upstream.ts'
import { Address, bracketed } from './address.ts'
import type { Algorithm } from './algorithm.ts'
import { algorithms, type AlgorithmName } from './algorithms.ts'
import type { Balancer, Outcome, Pick, PickedTarget } from './contract.ts'
import { compileHashInput, type HashableExchange, type HashInput } from './hash-input.ts'
import { compileHealthRules, isUsable, type CheckRules, type HealthRules } from './health.ts'
import { reportHealth, weigh, type UpstreamHealthReport } from './health-report.ts'
import type { HealthTable } from './health-table.ts'
import { ResolvedTarget, type AddressHealth, type TargetSpec } from './resolved-target.ts'
import { TargetNames } from './target-names.ts'
import { parseTarget } from './target-spec.ts'

export interface UpstreamBalancerOptions {
  readonly upstream: Upstream
  readonly targets: readonly Target[]
  readonly resolver: Resolver
  readonly health: HealthTable
  /** 0 up to but not including 1. */
  readonly random: () => number
  readonly nowMs: () => number
  /** Value of a sticky cookie. */
  readonly uuid: () => string
  /** Told once per change and by whom it was caused, in the worker where it happened. */
  readonly onHealthChange?: (change: HealthChange) => void
}

export interface HealthChange {
  /** The upstream's id; names are unique within a workspace only. */
  readonly upstreamId: string
  readonly upstream: string
  readonly target: string
  readonly ip: string
  readonly port: number
  readonly isHealthy: boolean
  readonly cause: 'request' | 'probe' | 'operator'
}

export interface UpstreamBalancer extends Balancer {
  /** Takes the upstream and all of its targets as they are now. */
  update(upstream: Upstream, targets: readonly Target[]): void
  /** Whether `pick` wants the value of `hashInput`. */
  readonly needsHash: boolean
  /** The value to be hashed; see `stickyCookieOf` for the cookie that it may make. */
  hashInput(exchange: HashableExchange): string | null
  /** Asks for names whose answers have expired; called now and then, it keeps an upstream without traffic up to date. */
  refresh(): void
  /** All addresses, for probes. */
  addresses(): readonly PickedTarget[]
  /** Counts the result of a probe by the upstream's `active` rules. */
  probed(target: PickedTarget, outcome: Outcome): void
  /** Sets the health of a target (`host:port`) or of one of its addresses by hand; a text says why that can't be. */
  setHealth(target: string, address: string | null, isHealthy: boolean): string | null
  report(): UpstreamHealthReport
}

export function createUpstreamBalancer(options: UpstreamBalancerOptions): UpstreamBalancer {
  return new TargetBalancer(options)
}

class TargetBalancer implements UpstreamBalancer {
  readonly #options: UpstreamBalancerOptions
  readonly #health: HealthTable
  readonly #names: TargetNames
  /** By the entity's `target`. */
  #targets: ReadonlyMap<string, ResolvedTarget> = new Map()
  #upstream: Upstream
  #rules: HealthRules
  #hashInput: HashInput | null = null
  #algorithm: Algorithm
  #isClosed = false
  /** Addresses that get requests, and what `#names` and `#health` were when they were last looked at. */
  #active: readonly Address[] = []
  #seenNames = -1
  #seenHealth = -1
  #isHealthy = false
  #refusal: Pick = { ok: false, code: 'no_targets', message: 'the upstream has no targets' }

  constructor(options: UpstreamBalancerOptions) {
    const { upstream, health } = options
    this.#options = options
    this.#health = health
    this.#names = new TargetNames(options)
    this.#upstream = upstream
    this.#rules = compileHealthRules(upstream.healthchecks)
    this.#algorithm = this.#createAlgorithm(upstream)
    this.update(upstream, options.targets)
  }

  pick(hashInput: string | null, tried: readonly PickedTarget[]): Pick | Promise<Pick> {
    this.#look()
    if (this.#isHealthy) return this.#algorithm.pick(hashInput, tried)?.pick ?? this.#refusal
    return this.#names.isPending ? this.#pickLater(hashInput, tried) : this.#refusal
  }

  started(target: PickedTarget): void {
    asAddress(target).active++
  }

  ended(target: PickedTarget, outcome: Outcome, latencyMs: number): void {
    const address = asAddress(target)
    address.active--
    this.#algorithm.ended?.(address, outcome, latencyMs)
    this.#count(address, this.#rules.passive, outcome, 'request')
  }

  probed(target: PickedTarget, outcome: Outcome): void {
    this.#count(asAddress(target), this.#rules.active, outcome, 'probe')
  }

  get needsHash(): boolean {
    return this.#hashInput !== null
  }

  hashInput(exchange: HashableExchange): string | null {
    return this.#hashInput === null ? null : this.#hashInput(exchange)
  }

  update(upstream: Upstream, targets: readonly Target[]): void {
    const before = this.#upstream
    if (upstream.algorithm !== before.algorithm || upstream.slots !== before.slots) {
      this.#algorithm = this.#createAlgorithm(upstream)
    }
    this.#upstream = upstream
    this.#rules = compileHealthRules(upstream.healthchecks)
    this.#hashInput = nameOf(upstream) === 'consistent-hashing' ? compileHashInput(upstream, this.#options.uuid) : null
    const old = this.#targets
    this.#targets = new Map(targets.map((target) => [target.target, this.#target(target, old.get(target.target))]))
    for (const [name, target] of old) if (!this.#targets.has(name)) target.clear()
    this.#names.set([...this.#targets.values()])
    this.#look()
  }

  refresh(): void {
    this.#look()
  }

  addresses(): readonly PickedTarget[] {
    return this.#addresses()
  }

  setHealth(target: string, address: string | null, isHealthy: boolean): string | null {
    this.#look()
    if (!this.#rules.isOn) return `no healthchecker found for ${this.#upstream.name}`
    const found = this.#targets.get(target)
    if (found === undefined) return `upstream ${this.#upstream.name} has no target ${target}`
    const chosen = found.addresses.filter((one) => address === null || isNamed(one, address))
    if (address !== null && chosen.length === 0) return `target ${target} has no address ${address}`
    for (const one of chosen) if (this.#health.set(one.health, isHealthy)) this.#tell(one, isHealthy, 'operator')
    this.#look()
    return null
  }

  report(): UpstreamHealthReport {
    this.#look()
    return reportHealth(this.#targets, this.#rules.isOn, this.#isHealthy)
  }

  /** Exchanges under way may go on picking among the addresses that are known. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#names.close()
    for (const address of this.#addresses()) this.#health.release(this.#keyOf(address))
  }

  async #pickLater(hashInput: string | null, tried: readonly PickedTarget[]): Promise<Pick> {
    await this.#names.nextAnswer()
    return await this.pick(hashInput, tried)
  }

  /** Brings the choice up to date; two comparisons while nothing happened. */
  #look(): void {
    this.#names.refresh()
    const { version } = this.#names
    if (version === this.#seenNames && this.#health.version === this.#seenHealth) return
    const hasNewAddresses = version !== this.#seenNames
    this.#seenNames = version
    this.#seenHealth = this.#health.version
    const all = this.#addresses()
    for (const address of all) address.isUsable = !this.#rules.isOn || isUsable(address.health)
    if (hasNewAddresses) {
      this.#active = all.filter((address) => address.weight > 0)
      this.#algorithm.update(this.#active, this.#targets.size)
    }
    const { total, available } = weigh(this.#active)
    this.#isHealthy = total > 0 && (available / total) * 100 > this.#rules.thresholdPercent
    this.#refusal = this.#explain(total)
  }

  #addresses(): Address[] {
    return [...this.#targets.values()].flatMap((target) => target.addresses)
  }

  #explain(totalWeight: number): Pick {
    if (totalWeight > 0) {
      return { ok: false, code: 'all_unhealthy', message: `too few addresses of ${this.#upstream.name} are healthy` }
    }
    const failed = this.#targets.values().find(({ resolution, spec }) => spec.weight > 0 && resolution?.ok === false)
    const reason =
      failed?.resolution?.ok === false ? `${failed.spec.name}: ${failed.resolution.message}` : 'none with a weight'
    return { ok: false, code: 'no_targets', message: `upstream ${this.#upstream.name} has no addresses: ${reason}` }
  }

  #target(entity: Target, known: ResolvedTarget | undefined): ResolvedTarget {
    const usesSrvName = this.#upstream.use_srv_name ?? false
    const spec: TargetSpec = { ...parseTarget(entity.target), weight: entity.weight ?? DEFAULT_WEIGHT, usesSrvName }
    if (known === undefined) return new ResolvedTarget(spec, this.#addressHealth)
    if (known.resolution === null) known.spec = spec
    else known.apply(known.resolution, spec)
    return known
  }

  readonly #addressHealth: AddressHealth = {
    open: (address) => this.#health.open(this.#keyOf({ ...address, targetName: address.name })),
    close: (address) => this.#health.release(this.#keyOf(address)),
  }

  /** Kong's scope: address, port and name within an upstream. */
  #keyOf({
    ip,
    port,
    targetName,
  }: {
    readonly ip: string
    readonly port: number
    readonly targetName: string
  }): string {
    return `${this.#upstream.id} ${bracketed(ip)}:${port} ${targetName}`
  }

  #count(address: Address, rules: CheckRules, outcome: Outcome, cause: HealthChange['cause']): void {
    if (!this.#rules.isOn) return
    if (this.#health.count(address.health, rules, outcome)) this.#tell(address, isUsable(address.health), cause)
  }

  #tell({ ip, port, targetName, targetPort }: Address, isHealthy: boolean, cause: HealthChange['cause']): void {
    const target = `${bracketed(targetName)}:${targetPort}`
    const { id: upstreamId, name: upstream } = this.#upstream
    this.#options.onHealthChange?.({ upstreamId, upstream, target, ip, port, isHealthy, cause })
  }

  #createAlgorithm(upstream: Upstream): Algorithm {
    const { random, nowMs } = this.#options
    return algorithms[nameOf(upstream)]({ slots: upstream.slots ?? DEFAULT_SLOTS, random, nowMs })
  }
}

const DEFAULT_WEIGHT = 100
const DEFAULT_SLOTS = 10_000

function nameOf(upstream: Upstream): AlgorithmName {
  return upstream.algorithm ?? 'round-robin'
}

function asAddress(target: PickedTarget): Address {
  if (target instanceof Address) return target
  throw new TypeError(`expected a target that this balancer picked, got ${target.key}`)
}

function isNamed({ ip, port }: Address, text: string): boolean {
  return text === `${bracketed(ip)}:${port}` || text === bracketed(ip) || text === ip
}
