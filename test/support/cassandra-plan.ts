/** Which nodes a cluster has, and where each stands. */
import path from 'node:path'
import { PORT, type NodePlan } from './cassandra-node.ts'
import { claimLoopback } from './loopback.ts'

export interface ClusterPlan {
  /** `dc1:1,dc2:1`: data centers, each with its number of nodes. */
  readonly topology: string
  /** Of a node's Java; it takes about 170 MiB more. */
  readonly heapMb?: number
  /** Further settings of cassandra.yaml, for all nodes. */
  readonly settings?: Readonly<Record<string, unknown>>
}

export interface DataCenterPlan {
  readonly name: string
  readonly count: number
}

const HEAP_MB = 192

export function parseTopology(topology: string): DataCenterPlan[] {
  const dataCenters = topology.split(',').map((part) => {
    const [, name = '', count = ''] = /^([A-Za-z0-9][\w.-]*):([1-9])$/.exec(part.trim()) ?? []
    return { name, count: Number(count) }
  })
  if (
    dataCenters.some(({ name }) => name === '') ||
    new Set(dataCenters.map(({ name }) => name)).size < dataCenters.length
  )
    throw new Error(`topology: expected data centers, each with 1 to 9 nodes, such as dc1:3,dc2:3; got '${topology}'`)
  return dataCenters
}

/** The cluster's nodes in `folder`, on loopback addresses that no other cluster has. */
export async function planNodes(folder: string, plan: ClusterPlan): Promise<NodePlan[]> {
  const dataCenters = parseTopology(plan.topology)
  const block = await claimLoopback(PORT)
  // .1, .2, .3 in the first data center, .11, .12, .13 in the second.
  return nodePlans(folder, plan, dataCenters, (dataCenter, number) => `${block}.${dataCenter * 10 + number + 1}`)
}

/** As `planNodes`, with addresses that the caller knows: by the position of the data center and of the node in it. */
export function nodePlans(
  folder: string,
  { heapMb = HEAP_MB, settings = {} }: ClusterPlan,
  dataCenters: readonly DataCenterPlan[],
  addressOf: (dataCenter: number, number: number) => string,
): NodePlan[] {
  const places = dataCenters.flatMap(({ name, count }, index) =>
    Array.from({ length: count }, (_, number) => ({
      dataCenter: name,
      address: addressOf(index, number),
      // Spread evenly within each data center, and no two the same.
      token: String(-(2n ** 63n) + 1n + BigInt(number) * (2n ** 64n / BigInt(count)) + BigInt(index) * 1000n),
    })),
  )
  const seeds = places.map(({ address }) => address)
  return places.map((place) => ({ ...place, folder: path.join(folder, place.address), seeds, heapMb, settings }))
}
