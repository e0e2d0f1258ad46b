import type { Breaker } from './breaker.ts'
import type { Pick, PickedTarget } from './contract.ts'
import { isUsable, type HealthState, type HealthWatcher } from './health.ts'

/** Who an address belongs to: told of each change of it, one at a time. */
export interface AddressEvents {
  /** It is there; its health was opened before. */
  added(address: Address): void
  removed(address: Address): void
  reweighed(address: Address, before: number): void
  healthChanged(address: Address): void
}

/** One address of a target: what algorithms choose among. The same object as long as target and address exist, so it carries their state. */
export class Address implements PickedTarget, HealthWatcher {
  readonly ip: string
  readonly port: number
  readonly key: string
  /** Name and port of the target as configured. */
  readonly targetName: string
  readonly targetPort: number
  readonly health: HealthState
  hostname: string
  /** 0: gets no requests. May be a fraction, when addresses share the weight of a SRV record. */
  weight = 0
  /** How near its target is: see `locality.ts`. */
  tier = 0
  /** What algorithms go by: the weight, less while it is started slowly. */
  share = 0
  /** False takes it out of the choice. */
  isUsable = true
  /** What its balancer counts it as, by its health and its circuit. */
  isWell = true
  breaker: Breaker | null = null
  /** Requests under way. */
  active = 0
  /** Moving average of latencies, and when it was last moved; only the algorithm `latency` uses them. */
  latencyMs = 0
  latencyAtMs = 0
  /** For its algorithm: its number in a list, its place among equals, how much it is due. */
  place = -1
  rank = -1
  due = 0
  /** The answer that names it, made once. */
  readonly pick: Pick
  readonly #events: AddressEvents | null

  constructor(
    ip: string,
    port: number,
    target: { readonly name: string; readonly port: number },
    hostname: string,
    health: HealthState,
    events: AddressEvents | null = null,
  ) {
    this.ip = ip
    this.port = port
    this.targetName = target.name
    this.targetPort = target.port
    this.hostname = hostname
    this.health = health
    this.key = `${bracketed(ip)}:${port} ${target.name}:${target.port}`
    this.pick = { ok: true, target: this }
    this.#events = events
  }

  /** Its health may be another one, here or in another thread. */
  healthChanged(): void {
    this.#events?.healthChanged(this)
  }

  get isHealthy(): boolean {
    return isUsable(this.health)
  }
}

/** Whether it failed in this exchange already. */
export function isTried(address: Address, tried: readonly PickedTarget[]): boolean {
  for (let i = 0; i < tried.length; i++) {
    const other = tried[i]!
    if (other === address || other.key === address.key) return true
  }
  return false
}

/** An address as it stands in front of a port: IPv6 in brackets (RFC 3986 3.2.2). */
export function bracketed(ip: string): string {
  return ip.includes(':') ? `[${ip}]` : ip
}
