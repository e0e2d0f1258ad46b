/** What the main thread tells a worker about the configuration. Documents are plain and complete; structured clones of each other. */
import type { Change } from '#model/document.ts'

export interface SnapshotUpdate {
  readonly revision: number
  readonly hash: string
  /** Replaces all that was there before (a first load, or a reload). */
  readonly isWhole: boolean
  /** Entities of the kinds that every worker holds. */
  readonly changes: readonly Change[]
  /** Entities of kinds that are looked up by key: what a worker has in its cache of them is no longer true. */
  readonly lookedUp: readonly Change[]
}
