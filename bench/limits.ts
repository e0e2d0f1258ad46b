/** What the gateway must not exceed and what it aims at. One table for the benchmark, its report and the documentation. */
import { rowOf } from './support/recorded.ts'

export interface Limit {
  readonly id: string
  readonly title: string
  /** `x nginx`: times the CPU time of nginx on the same work. */
  readonly unit: 'x nginx' | 'MiB' | 'ms' | '%' | 'count'
  /** Null where a figure is only reported. */
  readonly limit: number | null
  readonly aim: number | null
  /** By default the figure must be at most the limit. */
  readonly isAtLeast?: boolean
}

const rows = [
  { id: 'plain', title: 'plain GET, routing and metrics on', unit: 'x nginx', limit: 1.4, aim: 1.25 },
  { id: 'routes', title: '1,000 routes on 10 hosts, cycling', unit: 'x nginx', limit: 1.5, aim: 1.25 },
  {
    id: 'auth',
    title: "key-auth + rate-limiting (local), over nginx's plain GET",
    unit: 'x nginx',
    limit: 1.7,
    aim: 1.5,
  },
  {
    id: 'plugins',
    title: "key-auth, acl, rate-limiting, cors, request-transformer, over nginx's plain GET",
    unit: 'x nginx',
    limit: 2.0,
    aim: 1.75,
  },
  { id: 'post', title: 'POST with 1 KB', unit: 'x nginx', limit: 1.5, aim: null },
  { id: 'large', title: '64 KB response', unit: 'x nginx', limit: 2.0, aim: 1.5 },
  {
    id: 'cache',
    title: "proxy-cache, a small response from memory, over nginx's proxy_cache",
    unit: 'x nginx',
    limit: 1.0,
    aim: null,
  },
  { id: 'tls', title: 'keep-alive TLS 1.3', unit: 'x nginx', limit: 1.4, aim: null },
  { id: 'handshake', title: 'full TLS 1.3 handshake per request', unit: 'x nginx', limit: 2.0, aim: null },
  { id: 'connection', title: 'new client connection per request', unit: 'x nginx', limit: 2.5, aim: 2.0 },
  { id: 'latency', title: "p99 at 70 % of each one's own maximum", unit: 'x nginx', limit: null, aim: null },
  { id: 'idle', title: 'memory of 10,000 idle keep-alive connections', unit: 'MiB', limit: 60, aim: null },
  { id: 'stream', title: 'resident memory gained while 10 GiB pass down and up', unit: 'MiB', limit: 64, aim: null },
  {
    id: 'reuse',
    title: 'requests over a reused upstream connection',
    unit: '%',
    limit: 99.5,
    aim: null,
    isAtLeast: true,
  },
  { id: 'heap', title: "a worker's heap with 10,000 routes", unit: 'MiB', limit: 200, aim: null },
  {
    id: 'change',
    title: 'a change, append to serving in all workers, 50,000 routes (p99)',
    unit: 'ms',
    limit: 100,
    aim: null,
  },
  { id: 'stall', title: 'its synchronous part in a worker (p99)', unit: 'ms', limit: 5, aim: null },
  { id: 'soak-heap', title: 'heap after load with aborts and changes, growth', unit: '%', limit: 5, aim: null },
  { id: 'soak-sockets', title: 'sockets left over after it', unit: 'count', limit: 0, aim: null },
  { id: 'soak-timers', title: 'timers left over after it', unit: 'count', limit: 0, aim: null },
] as const satisfies readonly Limit[]

export type LimitId = (typeof rows)[number]['id']
export const limits: readonly (Limit & { readonly id: LimitId })[] = rows

export function limitOf(id: LimitId): Limit {
  return rowOf(limits, id)
}

/** `held` also when there is no limit; `aimed` when the aim is reached too. */
export function verdict({ limit, aim, isAtLeast = false }: Limit, value: number): 'aimed' | 'held' | 'missed' {
  const reaches = (bound: number) => (isAtLeast ? value >= bound : value <= bound)
  if (limit !== null && !reaches(limit)) return 'missed'
  return aim !== null && reaches(aim) ? 'aimed' : 'held'
}
