/** The replicas of a cluster by data center, and how many of them a consistency level wants. */
import type { ReadConsistency, WriteConsistency } from '#store/cassandra/port.ts'
import type { Random } from './random.ts'
import type { Replica } from './replica.ts'

type Consistency = Exclude<ReadConsistency | WriteConsistency, 'SERIAL' | 'LOCAL_SERIAL'>

export class Replication {
  readonly replicas: readonly Replica[]
  readonly dataCenters: readonly string[]
  readonly #byDataCenter = new Map<string, readonly Replica[]>()

  constructor(replicas: readonly Replica[]) {
    this.replicas = replicas
    this.dataCenters = [...new Set(replicas.map(({ dataCenter }) => dataCenter))]
    for (const name of this.dataCenters)
      this.#byDataCenter.set(
        name,
        replicas.filter(({ dataCenter }) => dataCenter === name),
      )
  }

  in(dataCenter: string): readonly Replica[] {
    return this.#byDataCenter.get(dataCenter) ?? []
  }

  /** Whether those replicas are enough, for a coordinator in that data center. */
  isEnough(consistency: Consistency, local: string, replicas: readonly Replica[]): boolean {
    const count = (dataCenter: string) => replicas.filter((replica) => replica.dataCenter === dataCenter).length
    switch (consistency) {
      case 'LOCAL_ONE':
        return count(local) >= 1
      case 'LOCAL_QUORUM':
        return count(local) >= majority(this.in(local).length)
      case 'QUORUM':
        return replicas.length >= majority(this.replicas.length)
      case 'EACH_QUORUM':
        return this.dataCenters.every((name) => count(name) >= majority(this.in(name).length))
    }
  }

  /** As few of the candidates as the level wants, the first ones first; undefined when all of them are too few. */
  enough(consistency: Consistency, local: string, candidates: readonly Replica[]): readonly Replica[] | undefined {
    const isLocal = consistency === 'LOCAL_ONE' || consistency === 'LOCAL_QUORUM'
    const chosen: Replica[] = []
    for (const replica of candidates) {
      if (isLocal && replica.dataCenter !== local) continue
      const inThere = chosen.filter(({ dataCenter }) => dataCenter === replica.dataCenter).length
      if (consistency === 'EACH_QUORUM' && inThere >= majority(this.in(replica.dataCenter).length)) continue
      chosen.push(replica)
      if (this.isEnough(consistency, local, chosen)) return chosen
    }
    return undefined
  }
}

export function majority(count: number): number {
  return Math.floor(count / 2) + 1
}

/**
 * Near ones first: always in the same order (`isSticky`), as a snitch does that finds one host the fastest; else any of the same
 * data center, or now and then any at all.
 */
export function inOrder(replicas: readonly Replica[], local: string, random: Random, isSticky: boolean): Replica[] {
  const order = isSticky ? [...replicas] : random.shuffled(replicas)
  if (!isSticky && random.chance(0.3)) return order
  return [
    ...order.filter((replica) => replica.dataCenter === local),
    ...order.filter((replica) => replica.dataCenter !== local),
  ]
}
