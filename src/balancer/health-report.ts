/** The health of an upstream as the Admin API shows it, in Kong's words. */
import { bracketed, type Address } from './address.ts'
import type { CircuitState } from './breaker.ts'
import type { ResolvedTarget } from './resolved-target.ts'

export type HealthWord = 'HEALTHY' | 'UNHEALTHY' | 'DNS_ERROR' | 'HEALTHCHECKS_OFF'

export interface WeightReport {
  readonly total: number
  readonly available: number
  readonly unavailable: number
}

interface TargetData {
  readonly host: string
  readonly port: number
  /** Kind of record, or why there is none. */
  readonly dns: string
  readonly nodeWeight: number
  readonly weight: WeightReport
}

interface AddressData {
  readonly ip: string
  readonly port: number
  readonly weight: number
  /** Where the upstream has circuit breakers: that of the worker that was asked. */
  readonly circuit?: CircuitState
}

export interface TargetHealthReport {
  /** As in the target entity. */
  readonly target: string
  readonly health: HealthWord
  readonly data: TargetData & {
    readonly addresses: readonly (AddressData & { readonly health: HealthWord })[]
  }
}

export interface BalancerHealthReport {
  readonly health: HealthWord
  /** Requests go to all targets, because too few are healthy; only where that is wanted and so. */
  readonly panic?: true
  /** Of the requests, those that targets near this node get; only while it is not all of them. */
  readonly near_percent?: number
  /** Only while health is kept. */
  readonly details?: {
    readonly healthy: boolean
    readonly weight: WeightReport
    readonly hosts: readonly (TargetData & {
      readonly addresses: readonly (AddressData & { readonly healthy: boolean })[]
    })[]
  }
}

/** Plain data, so that it can go from a worker to the main thread. */
export interface UpstreamHealthReport {
  readonly targets: readonly TargetHealthReport[]
  readonly balancer: BalancerHealthReport
}

export interface BalancerState {
  readonly isHealthy: boolean
  readonly isPanicking: boolean
  readonly nearPercent: number
}

export function reportHealth(
  targets: ReadonlyMap<string, ResolvedTarget>,
  isOn: boolean,
  { isHealthy, isPanicking, nearPercent }: BalancerState,
): UpstreamHealthReport {
  const all = [...targets.values()]
  const healthOf = (address: Address): HealthWord =>
    !isOn ? 'HEALTHCHECKS_OFF' : address.isWell ? 'HEALTHY' : 'UNHEALTHY'
  return {
    targets: [...targets].map(([target, resolved]) => ({
      target,
      health: targetHealth(resolved, isOn),
      data: {
        ...targetData(resolved),
        addresses: resolved.addresses.map((address) => ({ ...addressData(address), health: healthOf(address) })),
      },
    })),
    balancer: !isOn
      ? { health: 'HEALTHCHECKS_OFF' }
      : {
          health: isHealthy ? 'HEALTHY' : 'UNHEALTHY',
          ...(isPanicking && { panic: true }),
          ...(nearPercent < 100 && { near_percent: nearPercent }),
          details: {
            healthy: isHealthy,
            weight: weigh(all.flatMap((target) => target.addresses)),
            hosts: all.map((target) => ({
              ...targetData(target),
              addresses: target.addresses.map((address) => ({ ...addressData(address), healthy: address.isWell })),
            })),
          },
        },
  }
}

/** Part of the weight that is well. */
function weigh(addresses: readonly Address[]): WeightReport {
  let total = 0
  let unavailable = 0
  for (const { weight, isWell } of addresses) {
    total += weight
    if (!isWell) unavailable += weight
  }
  return { total: rounded(total), available: rounded(total - unavailable), unavailable: rounded(unavailable) }
}

function targetHealth({ spec, addresses }: ResolvedTarget, isOn: boolean): HealthWord {
  if (spec.weight === 0) return 'HEALTHCHECKS_OFF'
  if (addresses.length === 0) return 'DNS_ERROR'
  if (!isOn) return 'HEALTHCHECKS_OFF'
  return addresses.some((address) => address.isWell) ? 'HEALTHY' : 'UNHEALTHY'
}

function targetData({ spec, resolution, addresses }: ResolvedTarget): TargetData {
  const dns = resolution === null ? 'unknown' : resolution.ok ? resolution.type : resolution.message
  return { host: bracketed(spec.name), port: spec.port, dns, nodeWeight: spec.weight, weight: weigh(addresses) }
}

function addressData({ ip, port, weight, breaker }: Address): AddressData {
  return { ip: bracketed(ip), port, weight: rounded(weight), ...(breaker !== null && { circuit: breaker.state }) }
}

/** Thirds of a weight add up to a whole number again. */
function rounded(weight: number): number {
  return Math.round(weight * 1e6) / 1e6
}
