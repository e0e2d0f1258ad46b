/** What state in a Redis may cost a request. One table for the benchmarks, their reports and the documentation. */
import { rowOf } from '../support/recorded.ts'

export interface StateLimit {
  readonly id: string
  /** The page whose table has it. */
  readonly page: 'rate-limiting' | 'caching'
  readonly title: string
  readonly unit: 'x' | 'ms'
  /** The figure must be at most this. */
  readonly limit: number
}

const rows = [
  {
    id: 'synced-cpu',
    page: 'rate-limiting',
    title: 'processor time of a rate-limited request, `policy: redis` with `sync_rate: 0.2`, over `policy: local`',
    unit: 'x',
    limit: 1.15,
  },
  {
    id: 'strict-cpu',
    page: 'rate-limiting',
    title: 'the same with `sync_rate: -1`, a round trip for each request',
    unit: 'x',
    limit: 2.2,
  },
  {
    id: 'strict-p99',
    page: 'rate-limiting',
    title: 'its p99 at a low rate, beyond those of `policy: local` and of a round trip',
    unit: 'ms',
    limit: 1,
  },
  {
    id: 'silent-slowest',
    page: 'rate-limiting',
    title: 'the slowest request when a Redis falls silent (limit with `sync_rate: -1`, stored response)',
    unit: 'ms',
    limit: 50,
  },
  {
    id: 'silent-p99',
    page: 'rate-limiting',
    title: 'p99 while it stays silent, beyond that of before',
    unit: 'ms',
    limit: 2,
  },
  {
    id: 'stored-p99',
    page: 'caching',
    title: 'a response found in Redis, p99 at half of the most that a worker can do',
    unit: 'ms',
    limit: 2,
  },
] as const satisfies readonly StateLimit[]

export type StateId = (typeof rows)[number]['id']
export const stateLimits: readonly (StateLimit & { readonly id: StateId })[] = rows

export interface StateFigure {
  readonly id: StateId
  readonly value: number
  readonly isHeld: boolean
  /** What the value was computed from. */
  readonly details: Readonly<Record<string, number | string>>
}

export function stateFigure(id: StateId, value: number, details: StateFigure['details']): StateFigure {
  return { id, value: rounded(value), isHeld: value <= stateLimitOf(id).limit, details }
}

export function stateLimitOf(id: StateId): StateLimit {
  return rowOf(stateLimits, id)
}

export function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
