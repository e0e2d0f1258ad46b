import type { Upstream } from '#model/entities/upstream.ts'
import type { Algorithm, AlgorithmOptions } from './algorithm.ts'
import { ConsistentHashing } from './consistent-hashing.ts'
import { Latency } from './latency.ts'
import { LeastConnections } from './least-connections.ts'
import { RoundRobin } from './round-robin.ts'

export type AlgorithmName = NonNullable<Upstream['algorithm']>

/** Every value of an upstream's `algorithm`. */
export const algorithms: Readonly<Record<AlgorithmName, (options: AlgorithmOptions) => Algorithm>> = {
  'round-robin': (options) => new RoundRobin(options),
  'least-connections': () => new LeastConnections(),
  'consistent-hashing': (options) => new ConsistentHashing(options),
  latency: (options) => new Latency(options),
}
