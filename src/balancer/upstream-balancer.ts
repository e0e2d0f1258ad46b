/**
 * The balancer of one upstream entity: its targets with their addresses, their health, and the algorithm that chooses. It
 * lives as long as the upstream does and takes changes in place, so that load and health of what stays are kept; a change of
 * one target or of its health touches that target alone.
 */
import type { Resolver } from '#core/resolution.ts'
import type { Target } from '#model/entities/target.ts'
import type { Upstream } from '#model/entities/upstream.ts'
import { Address, bracketed, type AddressEvents } from './address.ts'
import type { Algorithm } from './algorithm.ts'
import { Breaker, type CircuitState } from './breaker.ts'
import { algorithms, type AlgorithmName } from './algorithms.ts'
import type { Balancer, Outcome, Pick, PickedTarget } from './contract.ts'
import { compileHashInput, type HashableExchange, type HashInput } from './hash-input.ts'
import { compileHealthRules, type CheckRules, type HealthRules, type HealthState } from './health.ts'
import { reportHealth, type UpstreamHealthReport } from './health-report.ts'
import type { HealthTable } from './health-table.ts'
import { TieredAlgorithm, TierWeights, tierOf, type Localities } from './locality.ts'
import { ResolvedTarget, type TargetHost, type TargetSpec } from './resolved-target.ts'
import { compileResilience, type Resilience } from './resilience.ts'
import { RetryBudget } from './retry-budget.ts'
import { SlowStart } from './slow-start.ts'
import { TargetNames } from './target-names.ts'
import { parseTarget } from './target-spec.ts'

export interface UpstreamBalancerOptions {
  readonly upstream: Upstream
  readonly targets: readonly Target[]
  readonly resolver: Resolver
  readonly health: HealthTable
  /** Without it all targets are equally near. */
  readonly localities?: Localities
  /** 0 up to but not including 1. */
  readonly random: () => number
  readonly nowMs: () => number
  /** Value of a sticky cookie. */
  readonly uuid: () => string
  /** Told once per change and by whom it was caused, in the worker where it happened. */
  readonly onHealthChange?: (change: HealthChange) => void
  /** Told when the circuit of an address opens, lets trials through, or closes, in this worker. */
  readonly onCircuitChange?: (upstream: Upstream, address: PickedTarget, state: CircuitState) => void
  /** Told when requests begin to go to all targets, because too few are healthy, and when that is over. */
  readonly onPanicChange?: (upstream: Upstream, isPanicking: boolean) => void
  /** Told of each address, with a weight or without. */
  readonly watch?: AddressWatch
}

export type AddressWatch = Omit<AddressEvents, 'reweighed'>

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
  /** Takes targets that are new or changed, after those (`host:port`) that are gone. */
  changeTargets(put: readonly Target[], removed: readonly string[]): void
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
  /** Requests go to all targets, because too few are healthy. */
  readonly isPanicking: boolean
  /** How many percent of the requests targets that are near get; below 100 while too few of them are healthy. */
  readonly nearPercent: number
  /** How many circuits are open, or let trials through, in this worker. */
  readonly openCircuits: number
}

export function createUpstreamBalancer(options: UpstreamBalancerOptions): UpstreamBalancer {
  return new TargetBalancer(options)
}

class TargetBalancer implements UpstreamBalancer, TargetHost {
  readonly #options: UpstreamBalancerOptions
  readonly #health: HealthTable
  readonly #names: TargetNames
  /** By the entity's `target`. */
  readonly #targets = new Map<string, ResolvedTarget>()
  #upstream: Upstream
  #rules: HealthRules
  #hashInput: HashInput | null = null
  #resilience: Resilience
  #budget: RetryBudget | null = null
  /** Null where no target is nearer than another. */
  readonly #tiers: TierWeights | null
  #algorithm: Algorithm
  readonly #slowStart = new SlowStart((address, share) => this.#setShare(address, address.weight * share))
  /** Addresses whose circuit is not closed. */
  readonly #circuits = new Set<Address>()
  #isClosed = false
  /** Addresses that were there from the beginning are not started slowly. */
  #isStarted = false
  /** Of the addresses with a weight: how many, and their weights; and the same of those that are well. */
  #count = 0
  #total = 0
  #wellCount = 0
  #well = 0
  /** Whether enough of the weight is well, by the threshold. */
  #isHealthy = false
  /** Too few are, and the upstream wants its requests to go to all then. */
  #isPanicking = false

  constructor(options: UpstreamBalancerOptions) {
    const { upstream, health } = options
    this.#options = options
    this.#health = health
    this.#names = new TargetNames(options)
    this.#upstream = upstream
    this.#rules = compileHealthRules(upstream.healthchecks)
    this.#resilience = compileResilience(upstream)
    const tiers = options.localities?.order.length ?? 0
    this.#tiers = tiers === 0 ? null : new TierWeights(tiers + 1)
    this.#algorithm = this.#createAlgorithm(upstream)
    this.update(upstream, options.targets)
    this.#isStarted = true
  }

  pick(hashInput: string | null, tried: readonly PickedTarget[]): Pick | Promise<Pick> {
    this.#names.refresh()
    if (this.#budget !== null && tried.length === 0) this.#budget.deposit()
    if (this.#isHealthy || this.#isPanicking) return this.#algorithm.pick(hashInput, tried)?.pick ?? this.#explain()
    return this.#names.isPending ? this.#pickLater(hashInput, tried) : this.#explain()
  }

  started(target: PickedTarget): void {
    const address = asAddress(target)
    address.active++
    const { breaker } = address
    if (breaker === null || breaker.state === 'closed') return
    breaker.started()
    this.healthChanged(address)
  }

  ended(target: PickedTarget, outcome: Outcome, latencyMs: number): void {
    const address = asAddress(target)
    address.active--
    this.#algorithm.ended?.(address, outcome, latencyMs)
    if (address.breaker !== null) this.#countCircuit(address, address.breaker, outcome, latencyMs)
    this.#countOutcome(address, this.#rules.passive, outcome, 'request')
  }

  takeRetry(): boolean {
    return this.#budget === null || this.#budget.take()
  }

  probed(target: PickedTarget, outcome: Outcome): void {
    this.#countOutcome(asAddress(target), this.#rules.active, outcome, 'probe')
  }

  get isPanicking(): boolean {
    return this.#isPanicking
  }

  get needsHash(): boolean {
    return this.#hashInput !== null
  }

  hashInput(exchange: HashableExchange): string | null {
    return this.#hashInput === null ? null : this.#hashInput(exchange)
  }

  update(upstream: Upstream, targets: readonly Target[]): void {
    const before = this.#upstream
    this.#upstream = upstream
    this.#rules = compileHealthRules(upstream.healthchecks)
    this.#setResilience(compileResilience(upstream))
    if (upstream.algorithm !== before.algorithm || upstream.slots !== before.slots) {
      this.#algorithm = this.#createAlgorithm(upstream)
      for (const address of this.#addresses()) if (address.weight > 0) this.#algorithm.add(address)
    }
    this.#hashInput = nameOf(upstream) === 'consistent-hashing' ? compileHashInput(upstream, this.#options.uuid) : null
    const names = new Set(targets.map(({ target }) => target))
    this.changeTargets(
      targets,
      [...this.#targets.keys()].filter((name) => !names.has(name)),
    )
    // The rules may be others, and with them whether health counts at all.
    for (const address of this.#addresses()) this.healthChanged(address)
    this.#weigh()
  }

  changeTargets(put: readonly Target[], removed: readonly string[]): void {
    for (const name of removed) this.#remove(name)
    for (const entity of put) this.#put(entity)
    this.#algorithm.countTargets?.(this.#targets.size)
  }

  refresh(): void {
    this.#names.refresh()
    const now = this.#options.nowMs()
    this.#slowStart.tick(now, this.#resilience.slowStartMs)
    for (const address of this.#circuits) {
      const { breaker } = address
      const before = breaker?.state
      breaker?.tick(now)
      if (breaker !== null && breaker.state !== before) this.#circuitChanged(address, breaker)
      else this.healthChanged(address)
    }
  }

  addresses(): readonly PickedTarget[] {
    return this.#addresses()
  }

  setHealth(target: string, address: string | null, isHealthy: boolean): string | null {
    if (!this.#rules.isOn) return `no healthchecker found for ${this.#upstream.name}`
    const found = this.#targets.get(target)
    if (found === undefined) return `upstream ${this.#upstream.name} has no target ${target}`
    const chosen = found.addresses.filter((one) => address === null || isNamed(one, address))
    if (address !== null && chosen.length === 0) return `target ${target} has no address ${address}`
    for (const one of chosen) if (this.#health.set(one.health, isHealthy)) this.#tell(one, isHealthy, 'operator')
    return null
  }

  report(): UpstreamHealthReport {
    this.#names.refresh()
    return reportHealth(this.#targets, this.#rules.isOn, {
      isHealthy: this.#isHealthy,
      isPanicking: this.#isPanicking,
      nearPercent: this.nearPercent,
    })
  }

  get openCircuits(): number {
    return this.#circuits.size
  }

  get nearPercent(): number {
    return this.#tiers === null || this.#count === 0 ? 100 : Math.round(this.#tiers.loads[0]! * 1e4) / 100
  }

  /** Exchanges under way may go on picking among the addresses that are known. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#names.close()
    for (const address of this.#addresses()) {
      this.#letGo(address)
      this.#options.watch?.removed(address)
    }
  }

  // ---- what becomes of addresses

  openHealth(address: { readonly ip: string; readonly port: number; readonly name: string }): HealthState {
    return this.#health.open(this.#keyOf({ ...address, targetName: address.name }))
  }

  added(address: Address): void {
    address.health.watchers.add(address)
    address.isWell = this.#isWell(address)
    address.isUsable = address.isWell || this.#isPanicking
    address.share = address.weight
    if (this.#resilience.breaker !== null) address.breaker = new Breaker(this.#resilience.breaker)
    if (address.weight > 0) this.#enter(address)
    if (this.#isStarted) this.#startSlowly(address)
    this.#options.watch?.added(address)
  }

  removed(address: Address): void {
    this.#letGo(address)
    this.#slowStart.drop(address)
    this.#circuits.delete(address)
    if (address.weight > 0) this.#leave(address, address.weight)
    this.#options.watch?.removed(address)
  }

  reweighed(address: Address, before: number): void {
    if (before === 0) {
      address.share = address.weight
      return this.#enter(address)
    }
    if (address.weight === 0) return this.#leave(address, before)
    const { slowStartMs } = this.#resilience
    this.#setShare(address, address.weight * this.#slowStart.shareOf(address, this.#options.nowMs(), slowStartMs))
    this.#add(address, -before, 0)
    this.#add(address, address.weight, 0)
  }

  healthChanged(address: Address): void {
    const isWell = this.#isWell(address)
    if (isWell === address.isWell) return
    address.isWell = isWell
    address.isUsable = isWell || this.#isPanicking
    if (address.weight > 0) {
      this.#addWell(address, isWell ? address.weight : -address.weight, isWell ? 1 : -1)
      this.#weigh()
      if (isWell) this.#startSlowly(address)
    }
    this.#options.watch?.healthChanged(address)
  }

  #enter(address: Address): void {
    this.#algorithm.add(address)
    this.#add(address, address.weight, 1)
  }

  #leave(address: Address, weight: number): void {
    this.#algorithm.remove(address)
    this.#add(address, -weight, -1)
  }

  /** Keeps the sums; where nothing is left they are exactly 0, whatever fractions were added up. */
  #add(address: Address, weight: number, count: -1 | 0 | 1): void {
    this.#count += count
    this.#total = this.#count === 0 ? 0 : this.#total + weight
    this.#tiers?.add(address.tier, weight, count)
    if (address.isWell) this.#addWell(address, weight, count)
    this.#weigh()
  }

  #addWell({ tier }: Address, weight: number, count: -1 | 0 | 1): void {
    this.#tiers?.addWell(tier, weight, count)
    this.#wellCount += count
    this.#well = this.#wellCount === 0 ? 0 : this.#well + weight
  }

  #weigh(): void {
    this.#isHealthy = this.#wellCount > 0 && (this.#well / this.#total) * 100 > this.#rules.thresholdPercent
    const isPanicking = !this.#isHealthy && this.#total > 0 && this.#resilience.panics
    if (isPanicking === this.#isPanicking) return
    this.#isPanicking = isPanicking
    if (this.#tiers !== null) this.#tiers.isPanicking = isPanicking
    for (const address of this.#addresses()) address.isUsable = address.isWell || isPanicking
    this.#options.onPanicChange?.(this.#upstream, isPanicking)
  }

  #isWell(address: Address): boolean {
    return (!this.#rules.isOn || address.isHealthy) && (address.breaker === null || address.breaker.isPassable)
  }

  #startSlowly(address: Address): void {
    if (this.#resilience.slowStartMs > 0 && address.weight > 0 && address.breaker?.state !== 'half_open')
      this.#slowStart.begin(address, this.#options.nowMs())
  }

  #setShare(address: Address, share: number): void {
    const before = address.share
    address.share = share
    if (address.weight > 0) this.#algorithm.reweighed(address, before)
  }

  #setResilience(resilience: Resilience): void {
    const { breaker, retryPercent } = this.#resilience
    this.#resilience = resilience
    if (this.#budget === null || resilience.retryPercent !== retryPercent)
      this.#budget = resilience.retryPercent === null ? null : new RetryBudget(resilience.retryPercent)
    if (JSON.stringify(resilience.breaker) === JSON.stringify(breaker)) return
    this.#circuits.clear()
    for (const address of this.#addresses())
      address.breaker = resilience.breaker === null ? null : new Breaker(resilience.breaker)
  }

  #countCircuit(address: Address, breaker: Breaker, outcome: Outcome, latencyMs: number): void {
    const before = breaker.state
    breaker.ended(outcome, latencyMs, this.#options.nowMs())
    if (breaker.state !== before) this.#circuitChanged(address, breaker)
    else if (before === 'half_open') this.healthChanged(address)
  }

  #circuitChanged(address: Address, breaker: Breaker): void {
    if (breaker.state === 'closed') {
      this.#circuits.delete(address)
      this.#startSlowly(address)
    } else this.#circuits.add(address)
    this.healthChanged(address)
    this.#options.onCircuitChange?.(this.#upstream, address, breaker.state)
  }

  #letGo(address: Address): void {
    address.health.watchers.delete(address)
    this.#health.release(this.#keyOf(address))
  }

  async #pickLater(hashInput: string | null, tried: readonly PickedTarget[]): Promise<Pick> {
    await this.#names.nextAnswer()
    return await this.pick(hashInput, tried)
  }

  #addresses(): Address[] {
    return [...this.#targets.values()].flatMap((target) => target.addresses)
  }

  #explain(): Pick {
    if (this.#total > 0) {
      return { ok: false, code: 'all_unhealthy', message: `too few addresses of ${this.#upstream.name} are healthy` }
    }
    if (this.#targets.size === 0) return { ok: false, code: 'no_targets', message: 'the upstream has no targets' }
    const failed = this.#targets.values().find(({ resolution, spec }) => spec.weight > 0 && resolution?.ok === false)
    const reason =
      failed?.resolution?.ok === false ? `${failed.spec.name}: ${failed.resolution.message}` : 'none with a weight'
    return { ok: false, code: 'no_targets', message: `upstream ${this.#upstream.name} has no addresses: ${reason}` }
  }

  #remove(name: string): void {
    const target = this.#targets.get(name)
    if (target === undefined) return
    this.#targets.delete(name)
    this.#names.remove(target)
    target.clear()
  }

  #put(entity: Target): void {
    const usesSrvName = this.#upstream.use_srv_name ?? false
    const tier = tierOf(entity, this.#options.localities?.order ?? [])
    const weight = entity.weight ?? DEFAULT_WEIGHT
    const spec: TargetSpec = { ...parseTarget(entity.target), weight, tier, usesSrvName }
    // What is counted for its addresses is counted where they are: from elsewhere they come as new ones.
    if (this.#targets.get(entity.target)?.spec.tier !== tier) this.#remove(entity.target)
    const known = this.#targets.get(entity.target)
    if (known === undefined) {
      const target = new ResolvedTarget(spec, this)
      this.#targets.set(entity.target, target)
      this.#names.add(target)
    } else if (known.resolution === null) known.spec = spec
    else known.apply(known.resolution, spec)
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

  #countOutcome(address: Address, rules: CheckRules, outcome: Outcome, cause: HealthChange['cause']): void {
    if (!this.#rules.isOn) return
    if (this.#health.count(address.health, rules, outcome)) this.#tell(address, address.isHealthy, cause)
    // Another thread may have been faster, and its word is still under way.
    else if (address.isWell !== this.#isWell(address)) this.healthChanged(address)
  }

  #tell({ ip, port, targetName, targetPort }: Address, isHealthy: boolean, cause: HealthChange['cause']): void {
    const target = `${bracketed(targetName)}:${targetPort}`
    const { id: upstreamId, name: upstream } = this.#upstream
    this.#options.onHealthChange?.({ upstreamId, upstream, target, ip, port, isHealthy, cause })
  }

  #createAlgorithm(upstream: Upstream): Algorithm {
    const { random, nowMs } = this.#options
    const create = () => algorithms[nameOf(upstream)]({ slots: upstream.slots ?? DEFAULT_SLOTS, random, nowMs })
    const { localities } = this.#options
    return this.#tiers === null || localities === undefined
      ? create()
      : new TieredAlgorithm(create, this.#tiers, localities, random)
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
