import type { RecentKeys } from '#core/recent-facts.ts'
import type { MetricsSink, PluginLog, ResponseCache, SharedResponses } from '#pdk'
import type { RouteCounts } from './route-counts.ts'
import type { KeyOptions } from './request-key.ts'
import type { StorePolicy } from './storable.ts'

/** What a configuration of the plugin comes down to. */
export interface State {
  /** This node's memory. */
  readonly cache: ResponseCache
  /** What the data center's nodes share; null with the strategy `memory`. */
  readonly shared: SharedResponses | null
  readonly methods: ReadonlySet<string>
  readonly key: KeyOptions
  readonly policy: StorePolicy
  readonly followsCacheControl: boolean
  readonly showsAge: boolean
  readonly showsStatus: boolean
  readonly showsKey: boolean
  readonly counts: RouteCounts
  /** Whose last response could not be stored: nobody waits for the next one. */
  readonly passedOn: RecentKeys
  /** What could not be refreshed a moment ago. */
  readonly resting: RecentKeys
  readonly metrics: MetricsSink
  readonly log: PluginLog
  /** When the log said last that refreshes fail; Unix ms. */
  toldAtMs: number
}

/** How long who fetches has a node's lock, until another one may try. */
export const FILL_MS = 10_000

/** Under which an exchange has its `Fill`; one without a client first has its `Refresh` there. */
export const SHARED = 'proxy-cache'
