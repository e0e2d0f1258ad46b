/** A name and port with the addresses that stand behind them now. */
import type { Resolution, ResolvedAddress } from '#core/resolution.ts'
import { Address, bracketed } from './address.ts'
import { HealthState } from './health.ts'

export interface TargetSpec {
  /** Host name or address, without brackets. */
  readonly name: string
  readonly port: number
  readonly weight: number
  /** Whether requests carry the name of the SRV record instead of the target's. */
  readonly usesSrvName: boolean
}

export interface AddressHealth {
  open(address: { readonly ip: string; readonly port: number; readonly name: string }): HealthState
  close(address: Address): void
}

/** For balancers that keep no health. */
export const NO_HEALTH: AddressHealth = { open: () => new HealthState(), close: () => {} }

export class ResolvedTarget {
  spec: TargetSpec
  /** The last answer about the name; null before the first. */
  resolution: Resolution | null = null
  isPending = false
  addresses: readonly Address[] = []
  readonly #health: AddressHealth

  constructor(spec: TargetSpec, health: AddressHealth) {
    this.spec = spec
    this.#health = health
  }

  /**
   * Takes a new answer or configuration. Addresses that stay keep their object, and with it health and load. Says whether
   * anything changed that a choice depends on; most answers only renew the TTL or list the same addresses in another order.
   */
  apply(resolution: Resolution, spec: TargetSpec = this.spec): boolean {
    const weights = new Map(this.addresses.map((address) => [address, address.weight]))
    this.resolution = resolution
    this.spec = spec
    const before = new Map(this.addresses.map((address) => [endpoint(address), address]))
    const after = new Map<string, Address>()
    for (const resolved of resolution.ok ? resolution.addresses : []) this.#put(resolved, before, after)
    for (const [key, address] of before) if (!after.has(key)) this.#health.close(address)

    const isSame =
      after.size === before.size && after.values().every((address) => weights.get(address) === address.weight)
    // Without addresses the reason may be another one.
    if (isSame) return after.size === 0
    this.addresses = [...after.values()]
    return true
  }

  /** Lets go of all addresses. */
  clear(): void {
    for (const address of this.addresses) this.#health.close(address)
    this.addresses = []
    this.resolution = null
  }

  #put(resolved: ResolvedAddress, before: ReadonlyMap<string, Address>, after: Map<string, Address>): void {
    const { name, weight, usesSrvName } = this.spec
    const port = resolved.port === 0 ? this.spec.port : resolved.port
    const key = endpoint({ ip: resolved.ip, port })
    // A target of weight 0 gets nothing, whatever weights its SRV records have.
    const share = weight === 0 ? 0 : resolved.srvName === null ? weight : resolved.weight
    const twin = after.get(key)
    if (twin !== undefined) {
      // Two SRV records that lead to one address add up; an address that is merely listed twice is one address.
      if (resolved.srvName !== null) twin.weight += share
      return
    }
    const hostname = usesSrvName && resolved.srvName !== null ? resolved.srvName : bracketed(name)
    let address = before.get(key)
    if (address === undefined) {
      const health = this.#health.open({ ip: resolved.ip, port, name })
      address = new Address(resolved.ip, port, this.spec, hostname, health)
    }
    address.hostname = hostname
    address.weight = share
    after.set(key, address)
  }
}

function endpoint({ ip, port }: { readonly ip: string; readonly port: number }): string {
  return `${bracketed(ip)}:${port}`
}
