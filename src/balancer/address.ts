import type { Pick, PickedTarget } from './contract.ts'
import type { HealthState } from './health.ts'

/** One address of a target: what algorithms choose among. The same object as long as target and address exist, so it carries their state. */
export class Address implements PickedTarget {
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
  /** By its health; false takes it out of the choice. */
  isUsable = true
  /** Requests under way. */
  active = 0
  /** Moving average of latencies, and when it was last moved; only the algorithm `latency` uses them. */
  latencyMs = 0
  latencyAtMs = 0
  /** The answer that names it, made once. */
  readonly pick: Pick

  constructor(
    ip: string,
    port: number,
    target: { readonly name: string; readonly port: number },
    hostname: string,
    health: HealthState,
  ) {
    this.ip = ip
    this.port = port
    this.targetName = target.name
    this.targetPort = target.port
    this.hostname = hostname
    this.health = health
    this.key = `${bracketed(ip)}:${port} ${target.name}:${target.port}`
    this.pick = { ok: true, target: this }
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
