/** Where the nodes of a cluster are: addresses, tokens and ports. */
import path from 'node:path'
import type { CassandraOptions } from './cassandra.ts'
import type { NodePlan } from './cassandra-node.ts'
import { freePort, freePorts } from './free-port.ts'

const HEAP_MB = 192

export async function planNodes(folder: string, options: CassandraOptions): Promise<NodePlan[]> {
  const { topology, network, heapMb = HEAP_MB, settings = {} } = options
  const [port = 0, storagePort = 0, tlsStoragePort = 0] = await freePorts(3)
  // Every address of 127.0.0.0/8 is this machine's; each cluster takes a block of its own.
  const block = `127.${64 + Math.floor(Math.random() * 128)}.${Math.floor(Math.random() * 256)}`
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
      port,
      storagePort,
      tlsStoragePort,
      jmxPort: await freePort(),
      heapMb,
      settings,
    })
  }
  return plans
}

function parseTopology(topology: string): { readonly name: string; readonly count: number }[] {
  return topology.split(',').map((part) => {
    const [name = '', count = ''] = part.split(':')
    if (!/^[\w.-]+$/.test(name) || !/^[1-9]$/.test(count))
      throw new Error(`topology: expected data centers with 1 to 9 nodes, such as dc1:3,dc2:3; got '${topology}'`)
    return { name, count: Number(count) }
  })
}
