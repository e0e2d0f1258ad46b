/** A name and port with the addresses that stand behind them now. */
import type { Resolution, ResolvedAddress } from '#core/resolution.ts'
import { Address, bracketed, type AddressEvents } from './address.ts'
import type { HealthState } from './health.ts'

export interface TargetSpec {
  /** Host name or address, without brackets. */
  readonly name: string
  readonly port: number
  readonly weight: number
  /** How near it is: see `locality.ts`. */
  readonly tier: number
  /** Whether requests carry the name of the SRV record instead of the target's. */
  readonly usesSrvName: boolean
}

/** What stands behind the addresses of a balancer's targets. */
export interface TargetHost extends AddressEvents {
  openHealth(address: { readonly ip: string; readonly port: number; readonly name: string }): HealthState
}

export class ResolvedTarget {
  spec: TargetSpec
  /** The last answer about the name; null before the first. */
  resolution: Resolution | null = null
  isPending = false
  addresses: readonly Address[] = []
  readonly #host: TargetHost

  constructor(spec: TargetSpec, host: TargetHost) {
    this.spec = spec
    this.#host = host
  }

  /**
   * Takes a new answer or configuration and tells what changed by it. Addresses that stay keep their object, and with it health
   * and load; most answers only renew the TTL or list the same addresses in another order.
   */
  apply(resolution: Resolution, spec: TargetSpec = this.spec): void {
    this.resolution = resolution
    this.spec = spec
    const before = new Map(this.addresses.map((address) => [endpoint(address), address]))
    const weights = new Map(this.addresses.map((address) => [address, address.weight]))
    const after = new Map<string, Address>()
    for (const resolved of resolution.ok ? resolution.addresses : []) this.#put(resolved, before, after)
    this.addresses = [...after.values()]
    for (const [key, address] of before) if (!after.has(key)) this.#remove(address, weights.get(address)!)
    for (const address of this.addresses) {
      const weight = weights.get(address)
      if (weight === undefined) this.#host.added(address)
      else if (weight !== address.weight) this.#host.reweighed(address, weight)
    }
  }

  /** Lets go of all addresses. */
  clear(): void {
    const { addresses } = this
    this.addresses = []
    this.resolution = null
    for (const address of addresses) this.#remove(address, address.weight)
  }

  #remove(address: Address, weight: number): void {
    address.weight = weight
    this.#host.removed(address)
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
      const health = this.#host.openHealth({ ip: resolved.ip, port, name })
      address = new Address(resolved.ip, port, this.spec, hostname, health, this.#host)
      address.tier = this.spec.tier
    }
    address.hostname = hostname
    address.weight = share
    after.set(key, address)
  }
}

function endpoint({ ip, port }: { readonly ip: string; readonly port: number }): string {
  return `${bracketed(ip)}:${port}`
}
