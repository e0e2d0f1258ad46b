/** The balancer of a host that is no upstream: its addresses in turn, with the weights and ports of SRV records. No health is kept. */
import type { Resolver } from '#core/resolution.ts'
import type { Balancer, Pick, PickedTarget } from './contract.ts'
import { HealthState } from './health.ts'
import { ResolvedTarget, type TargetHost } from './resolved-target.ts'
import { RoundRobin } from './round-robin.ts'
import { TargetNames } from './target-names.ts'

export interface DirectBalancerOptions {
  /** Name or address; IPv6 with or without brackets. */
  readonly host: string
  readonly port: number
  readonly resolver: Resolver
  /** 0 up to but not including 1. */
  readonly random: () => number
  readonly nowMs: () => number
}

export function createDirectBalancer(options: DirectBalancerOptions): Balancer {
  return new DirectBalancer(options)
}

class DirectBalancer implements Balancer {
  readonly #target: ResolvedTarget
  readonly #names: TargetNames
  readonly #turns: RoundRobin

  constructor(options: DirectBalancerOptions) {
    const { host, port } = options
    const name = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
    const turns = (this.#turns = new RoundRobin(options))
    const targets: TargetHost = {
      openHealth: () => new HealthState(),
      added: (address) => {
        address.share = address.weight
        turns.add(address)
      },
      removed: (address) => turns.remove(address),
      reweighed: (address, before) => {
        address.share = address.weight
        turns.reweighed(address, before)
      },
      healthChanged: () => {},
    }
    this.#target = new ResolvedTarget({ name, port, weight: 1, tier: 0, usesSrvName: false }, targets)
    this.#names = new TargetNames(options)
    this.#names.add(this.#target)
  }

  pick(_hashInput: string | null, tried: readonly PickedTarget[]): Pick | Promise<Pick> {
    this.#names.refresh()
    const address = this.#turns.pick(null, tried)
    if (address !== null) return address.pick
    const { resolution } = this.#target
    // An answer that is being asked for again may be another one; a name that is known to fail is not waited for.
    if (this.#names.isPending) return this.#pickLater(tried)
    if (resolution?.ok === false) return { ok: false, code: resolution.code, message: resolution.message }
    return { ok: false, code: 'resolve_failed', message: 'closed' }
  }

  started(): void {}

  ended(): void {}

  takeRetry(): boolean {
    return true
  }

  close(): void {
    this.#names.close()
  }

  async #pickLater(tried: readonly PickedTarget[]): Promise<Pick> {
    await this.#names.nextAnswer()
    return await this.pick(null, tried)
  }
}
