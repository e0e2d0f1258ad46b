/**
 * A ring of slots, of which each address owns some by its weight; a value belongs to the owner of its slot, or of the nearest
 * owned slot below that is usable. Slots and hash are those of Kong, so the same targets give the same assignment. A request
 * without a value is spread by round-robin: there is nothing to be consistent about, and one target should not get them all.
 */
import { bracketed, isTried, type Address } from './address.ts'
import { NONE_TRIED, type Algorithm, type AlgorithmOptions } from './algorithm.ts'
import type { PickedTarget } from './contract.ts'
import { RoundRobin } from './round-robin.ts'
import { xxhash32 } from './xxhash32.ts'

/** Kong's: fewer configured slots count as 1000. */
const MIN_SLOTS = 1000
/** Kong's: slots of an address when all have the same weight. */
const SLOTS_PER_TARGET = 160

export class ConsistentHashing implements Algorithm {
  readonly #slots: number
  readonly #spread: RoundRobin
  readonly #addresses = new Set<Address>()
  #targetCount = 0
  /** Null until the next pick after a change: targets often change many at a time. */
  #ring: Ring | null = null

  constructor(options: AlgorithmOptions) {
    this.#slots = Math.max(MIN_SLOTS, options.slots)
    this.#spread = new RoundRobin(options)
  }

  add(address: Address): void {
    this.#addresses.add(address)
    this.#spread.add(address)
    this.#ring = null
  }

  remove(address: Address): void {
    this.#addresses.delete(address)
    this.#spread.remove(address)
    this.#ring = null
  }

  reweighed(address: Address, before: number): void {
    this.#spread.reweighed(address, before)
    this.#ring = null
  }

  countTargets(count: number): void {
    if (count !== this.#targetCount) this.#ring = null
    this.#targetCount = count
  }

  pick(hashInput: string | null, tried: readonly PickedTarget[]): Address | null {
    if (hashInput === null) return this.#spread.pick(null, tried)
    const ring = (this.#ring ??= buildRing([...this.#addresses], this.#targetCount, this.#slots))
    return findOwner(ring, hashInput, tried) ?? (tried.length === 0 ? null : findOwner(ring, hashInput, NONE_TRIED))
  }
}

interface Ring {
  /** Owners in the order of their slots. */
  readonly owners: readonly Address[]
  /** For each slot the index in `owners` of its own or the nearest lower one. */
  readonly nearest: Uint32Array
}

function findOwner({ owners, nearest }: Ring, value: string, tried: readonly PickedTarget[]): Address | null {
  if (owners.length === 0) return null
  let at = nearest[xxhash32(value) % nearest.length]!
  for (let steps = 0; steps < owners.length; steps++) {
    const address = owners[at]!
    if (address.isUsable && !(tried.length > 0 && isTried(address, tried))) return address
    at = at === 0 ? owners.length - 1 : at - 1
  }
  return null
}

function buildRing(addresses: readonly Address[], targetCount: number, slots: number): Ring {
  // Collisions are settled by who comes first, so the order must not depend on when a target came.
  const ordered = addresses.toSorted(byTargetThenAddress)
  const totalWeight = ordered.reduce((sum, { weight }) => sum + weight, 0)
  const shares = ordered.map(({ weight }) => (weight / totalWeight) * targetCount * SLOTS_PER_TARGET)
  const owned = place(ordered, shares, slots) ?? placeCrowded(ordered, totalWeight, slots)

  const owners: Address[] = []
  const nearest = new Uint32Array(owned.length)
  for (const [slot, address] of owned.entries()) {
    if (address !== undefined) owners.push(address)
    // Below the first owned slot the ring goes on at its upper end; corrected once the number of owners is known.
    nearest[slot] = owners.length - 1
  }
  const firstOwned = owned.findIndex((address) => address !== undefined)
  nearest.fill(Math.max(0, owners.length - 1), 0, Math.max(0, firstOwned))
  return { owners, nearest }
}

/** More addresses than Kong's ring has room for, where it would keep the ring that it had: half of a ring that is large enough is filled. */
function placeCrowded(addresses: readonly Address[], totalWeight: number, slots: number): (Address | undefined)[] {
  for (let size = Math.max(slots, addresses.length * 4); ; size *= 2) {
    const shares = addresses.map(({ weight }) => ((weight / totalWeight) * size) / 2)
    const owned = place(addresses, shares, size)
    if (owned !== null) return owned
  }
}

/** Gives every address its slots; null when they do not all find room. */
function place(
  addresses: readonly Address[],
  shares: readonly number[],
  slots: number,
): (Address | undefined)[] | null {
  const counts = shares.map((share) => Math.max(1, Math.floor(share)))
  if (counts.reduce((sum, count) => sum + count, 0) > slots) return null
  const owned = Array.from<Address | undefined>({ length: slots })
  for (const [index, address] of addresses.entries()) {
    const prefix = `${bracketed(address.ip)}::${address.port} `
    let left = counts[index]!
    for (let i = 1; left > 0; i++) {
      if (i > slots) return null
      const slot = xxhash32(prefix + i) % slots
      if (owned[slot] !== undefined) continue
      owned[slot] = address
      left--
    }
  }
  return owned
}

function byTargetThenAddress(a: Address, b: Address): number {
  if (a.targetName !== b.targetName) return a.targetName < b.targetName ? -1 : 1
  if (a.targetPort !== b.targetPort) return a.targetPort - b.targetPort
  const [left, right] = [`${bracketed(a.ip)}:${a.port}`, `${bracketed(b.ip)}:${b.port}`]
  if (left === right) return 0
  return left < right ? -1 : 1
}
