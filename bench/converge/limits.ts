/** What a cluster of two data centers must keep to, 80 ms apart. One table for the benchmark and its report. */
import { rowOf } from '../support/recorded.ts'

export interface ConvergeLimit {
  readonly id: string
  readonly title: string
  readonly unit: string
  /** Null where a figure is only reported. */
  readonly limit: number | null
  /** By default the figure must be at most the limit. */
  readonly isAtLeast?: boolean
  /** What a real Kong 2.8.5 did on the same Cassandra, with the same method. */
  readonly kong: string
}

const rows = [
  {
    id: 'propagation-p99',
    title: 'a change, Admin answer to the first correct answer of the last gateway (p99)',
    unit: 'ms',
    limit: 600,
    kong: '1028 to 4929',
  },
  { id: 'propagation-max', title: 'the slowest of them', unit: 'ms', limit: 1_000, kong: '1062 to 4929' },
  {
    id: 'propagation-never',
    title: 'changes that a gateway did not serve within 15 s, or went back on',
    unit: 'count',
    limit: 0,
    kong: '6 of 120 at its fastest',
  },
  {
    id: 'propagation-near',
    title: "the same inside the writer's data center, with `redis_wake` (p99)",
    unit: 'ms',
    limit: 100,
    kong: '-',
  },
  {
    id: 'idle-reads',
    title: 'reads of the log by a follower without changes, a poll',
    unit: 'reads',
    limit: 1,
    kong: 'up to 100,001 tombstones, then aborted',
  },
  { id: 'idle-tombstones', title: 'tombstones that such a read met, at most', unit: 'count', limit: 0, kong: '-' },
  {
    id: 'keys',
    title: 'key-auth credentials created through one gateway, 200 at a time',
    unit: 'keys/s',
    limit: 250,
    isAtLeast: true,
    kong: '124 writes/s without any distance',
  },
  {
    id: 'bulk-keys',
    title: 'consumers and their keys, one by one by 16 clients',
    unit: 'writes/s',
    limit: null,
    kong: '124, p99 544 ms, without any distance',
  },
  {
    id: 'bulk-routes',
    title: 'routes, one by one by 16 clients',
    unit: 'writes/s',
    limit: null,
    kong: '69, p99 1008 ms, without any distance',
  },
  {
    id: 'purge',
    title: 'a purge by tag, sent until the last gateway no longer serves what was stored (p99)',
    unit: 'ms',
    limit: 1_000,
    kong: '-',
  },
  { id: 'start', title: 'a new gateway, start to ready', unit: 's', limit: 10, kong: '0.94 with 5,000 routes' },
  { id: 'start-rss', title: 'its resident memory then', unit: 'MiB', limit: 1_536, kong: '-' },
  {
    id: 'start-copy',
    title: 'start from the local copy, Cassandra dead',
    unit: 's',
    limit: 2,
    kong: 'does not start',
  },
] as const satisfies readonly ConvergeLimit[]

export type ConvergeId = (typeof rows)[number]['id']
export const convergeLimits: readonly (ConvergeLimit & { readonly id: ConvergeId })[] = rows

export interface ConvergeFigure {
  readonly id: ConvergeId
  readonly value: number
  readonly isHeld: boolean
  /** What the value was computed from. */
  readonly details: Readonly<Record<string, number | string>>
}

export function convergeFigure(id: ConvergeId, value: number, details: ConvergeFigure['details']): ConvergeFigure {
  const { limit, isAtLeast = false } = limitOf(id)
  return { id, value, isHeld: limit === null || (isAtLeast ? value >= limit : value <= limit), details }
}

export function limitOf(id: ConvergeId): ConvergeLimit {
  return rowOf(convergeLimits, id)
}
