/** Where the nodes of a cluster are: addresses, tokens and ports. */
import path from 'node:path'
import type { CassandraOptions } from './cassandra.ts'
import type { NodePlan } from './cassandra-node.ts'
import { freePort } from './free-port.ts'
import { claimLoopback } from './loopback.ts'

const HEAP_MB = 192
/**
 * The same for all nodes of all clusters, whose addresses differ. Outside the range of free-port.ts and of outgoing
 * connections: a node that was killed finds them free when it comes back, also on a machine full of tests.
 */
const PORTS = { port: 19_042, storagePort: 17_000, tlsStoragePort: 17_001 }

export async function planNodes(folder: string, options: CassandraOptions): Promise<NodePlan[]> {
  const { topology, network, heapMb = HEAP_MB, settings = {} } = options
  const block = network === undefined ? await claimLoopback(PORTS.port) : ''
  const places = parseTopology(topology).flatMap(({ name, count }, index) => {
    const site = network?.site(name)
    return Array.from({ length: count }, (_, number) => ({
      dataCenter: name,
      address: site?.address(number) ?? `${block}.${index * 10 + number + 1}`,
      namespace: site?.namespace ?? null,
      // Spread evenly within each data center, never the same in two.
      token: String(-(2n ** 63n) + 1n + BigInt(number) * (2n ** 64n / BigInt(count)) + BigInt(index) * 1000n),
    }))
  })
  const seeds = places.map(({ address }) => address)
  const plans: NodePlan[] = []
  for (const place of places) {
    plans.push({
      ...place,
      folder: path.join(folder, place.address),
      seeds,
      ...PORTS,
      jmxPort: await freePort(),
      heapMb,
      settings,
    })
  }
  return plans
}

export function parseTopology(topology: string): { readonly name: string; readonly count: number }[] {
  const dataCenters = topology.split(',').map((part) => {
    const [name = '', count = ''] = part.split(':')
    if (!/^[\w.-]+$/.test(name) || !/^[1-9]$/.test(count))
      throw new Error(`topology: expected data centers with 1 to 9 nodes, such as dc1:3,dc2:3; got '${topology}'`)
    return { name, count: Number(count) }
  })
  if (new Set(dataCenters.map(({ name }) => name)).size < dataCenters.length)
    throw new Error(`topology: expected each data center once, got '${topology}'`)
  return dataCenters
}
