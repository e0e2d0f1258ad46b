/** The balancer of a host that is no upstream: its addresses in turn, with the weights and ports of SRV records. No health is kept. */
import type { Resolver } from '#core/resolution.ts'
import type { Balancer, Pick, PickedTarget } from './contract.ts'
import { NO_HEALTH, ResolvedTarget } from './resolved-target.ts'
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
  #seenNames = 0

  constructor(options: DirectBalancerOptions) {
    const { host, port } = options
    const name = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
    this.#target = new ResolvedTarget({ name, port, weight: 1, usesSrvName: false }, NO_HEALTH)
    this.#turns = new RoundRobin(options)
    this.#names = new TargetNames(options)
    this.#names.set([this.#target])
  }

  pick(_hashInput: string | null, tried: readonly PickedTarget[]): Pick | Promise<Pick> {
    this.#names.refresh()
    if (this.#names.version !== this.#seenNames) {
      this.#seenNames = this.#names.version
      this.#turns.update(this.#target.addresses)
    }
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

  close(): void {
    this.#names.close()
  }

  async #pickLater(tried: readonly PickedTarget[]): Promise<Pick> {
    await this.#names.nextAnswer()
    return await this.pick(null, tried)
  }
}
