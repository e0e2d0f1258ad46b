/**
 * Targets that are near first. Each target is of a tier, 0 for those near this node; a tier whose targets fail gives the next one
 * the part that it can't carry. The rule is Envoy's for priorities: a tier carries all until less than 1/1.4 of its weight is
 * well, since what is left can take 40 % more, and from there on 1.4 times its part that is well.
 */
import type { Target } from '#model/entities/target.ts'
import { isTried, type Address } from './address.ts'
import type { Algorithm } from './algorithm.ts'
import type { Outcome, PickedTarget } from './contract.ts'
import { xxhash32 } from './xxhash32.ts'

export interface Localities {
  /** This node's, and those that come next, nearest first. Empty: nothing is near or far. */
  readonly order: readonly string[]
  /** How many requests, retries among them, went to targets that are near, and to others. */
  readonly picked: { near: number; far: number }
}

const OVERPROVISIONING = 1.4
const TAG = 'locality:'

/** Targets that name no locality are near to everybody; those of unknown ones come last. */
export function tierOf({ locality, tags }: Pick<Target, 'locality' | 'tags'>, order: readonly string[]): number {
  if (order.length === 0) return 0
  const name = locality ?? tags?.find((tag) => tag.startsWith(TAG))?.slice(TAG.length) ?? null
  if (name === null) return 0
  const at = order.indexOf(name)
  return at < 0 ? order.length : at
}

interface Sums {
  count: number
  total: number
  wellCount: number
  well: number
}

/** What each tier weighs, and by that how much of the requests it gets. */
export class TierWeights {
  readonly #tiers: Sums[]
  #isPanicking = false
  /** Null until it is next asked for after a change. */
  #loads: readonly number[] | null = null

  constructor(tiers: number) {
    this.#tiers = Array.from({ length: tiers }, () => ({ count: 0, total: 0, wellCount: 0, well: 0 }))
  }

  add(tier: number, weight: number, count: -1 | 0 | 1): void {
    const sums = this.#tiers[tier]!
    sums.count += count
    // Exactly 0 where nothing is left, whatever fractions were added up.
    sums.total = sums.count === 0 ? 0 : sums.total + weight
    this.#loads = null
  }

  addWell(tier: number, weight: number, count: -1 | 0 | 1): void {
    const sums = this.#tiers[tier]!
    sums.wellCount += count
    sums.well = sums.wellCount === 0 ? 0 : sums.well + weight
    this.#loads = null
  }

  /** Then all targets are asked, those that are far among them: each tier by its weight. */
  set isPanicking(isPanicking: boolean) {
    this.#isPanicking = isPanicking
    this.#loads = null
  }

  /** Parts of 1, or all 0 where nothing is there. */
  get loads(): readonly number[] {
    return (this.#loads ??= this.#isPanicking
      ? partsOf(this.#tiers.map(({ total }) => total))
      : loadsOf(
          this.#tiers.map(({ well, total }) => (total === 0 ? 0 : Math.min(1, (OVERPROVISIONING * well) / total))),
        ))
  }
}

function partsOf(weights: readonly number[]): number[] {
  const sum = weights.reduce((all, weight) => all + weight, 0)
  return weights.map((weight) => (sum === 0 ? 0 : weight / sum))
}

/** Each takes what it can of what is left; when all together can't take everything, each gets its part of what they can. */
function loadsOf(capacities: readonly number[]): number[] {
  const sum = Math.min(
    1,
    capacities.reduce((all, capacity) => all + capacity, 0),
  )
  let left = 1
  return capacities.map((capacity) => {
    const load = sum === 0 ? 0 : Math.min(left, capacity / sum)
    left -= load
    return load
  })
}

/** One algorithm for each tier; which tier it is goes by chance, or where requests are hashed, by their value. */
export class TieredAlgorithm implements Algorithm {
  readonly #tiers: readonly { readonly algorithm: Algorithm; readonly targets: Map<string, number> }[]
  readonly #weights: TierWeights
  readonly #random: () => number
  readonly #picked: Localities['picked']
  #targetCount = 0

  constructor(create: () => Algorithm, weights: TierWeights, { order, picked }: Localities, random: () => number) {
    this.#tiers = Array.from({ length: order.length + 1 }, () => ({ algorithm: create(), targets: new Map() }))
    this.#weights = weights
    this.#random = random
    this.#picked = picked
  }

  add(address: Address): void {
    const { algorithm, targets } = this.#tiers[address.tier]!
    const target = nameOf(address)
    targets.set(target, (targets.get(target) ?? 0) + 1)
    algorithm.add(address)
    this.#tellCounts()
  }

  remove(address: Address): void {
    const { algorithm, targets } = this.#tiers[address.tier]!
    const target = nameOf(address)
    const left = targets.get(target)! - 1
    if (left === 0) targets.delete(target)
    else targets.set(target, left)
    algorithm.remove(address)
    this.#tellCounts()
  }

  reweighed(address: Address, before: number): void {
    this.#tiers[address.tier]!.algorithm.reweighed(address, before)
  }

  countTargets(count: number): void {
    this.#targetCount = count
    this.#tellCounts()
  }

  pick(hashInput: string | null, tried: readonly PickedTarget[]): Address | null {
    const chosen = this.#chosenTier(hashInput)
    const address = this.#tiers[chosen]!.algorithm.pick(hashInput, tried)
    if (address === null || (tried.length > 0 && isTried(address, tried)))
      return this.#pickElsewhere(chosen, hashInput, tried) ?? this.#counted(address)
    return this.#counted(address)
  }

  ended(address: Address, outcome: Outcome, latencyMs: number): void {
    this.#tiers[address.tier]!.algorithm.ended?.(address, outcome, latencyMs)
  }

  #chosenTier(hashInput: string | null): number {
    const { loads } = this.#weights
    if (loads[0]! >= 1) return 0
    // Not by the place on the ring: a tier would get all the keys of some targets.
    let left = hashInput === null ? this.#random() : xxhash32(`tier ${hashInput}`) / 2 ** 32
    for (let tier = 0; tier < loads.length; tier++) {
      left -= loads[tier]!
      if (left < 0) return tier
    }
    // Rounding: the last that gets anything.
    return Math.max(
      0,
      loads.findLastIndex((load) => load > 0),
    )
  }

  /** One that was not tried yet, in the nearest tier that has one. */
  #pickElsewhere(chosen: number, hashInput: string | null, tried: readonly PickedTarget[]): Address | null {
    for (const [tier, { algorithm }] of this.#tiers.entries()) {
      if (tier === chosen) continue
      const address = algorithm.pick(hashInput, tried)
      if (address !== null && !isTried(address, tried)) return this.#counted(address)
    }
    return null
  }

  #counted(address: Address | null): Address | null {
    if (address === null) return null
    if (address.tier === 0) this.#picked.near++
    else this.#picked.far++
    return address
  }

  /** While all targets are of one tier it is the upstream's count, that of targets without an address among them. */
  #tellCounts(): void {
    const filled = this.#tiers.filter(({ targets }) => targets.size > 0)
    for (const tier of filled)
      tier.algorithm.countTargets?.(filled.length === 1 ? this.#targetCount : tier.targets.size)
  }
}

function nameOf({ targetName, targetPort }: Address): string {
  return `${targetName}:${targetPort}`
}
