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

/** An update as it is told: of a whole state the first changes can be ahead of it. */
export interface ToldUpdate extends SnapshotUpdate {
  /** So many parts were told ahead and belong to it, before its own changes. */
  readonly parts: number
}

/** Changes of a whole state that is still being read. They count when the update comes that names them. */
export interface SnapshotPart {
  /** What was told ahead before this part is forgotten. */
  readonly isFirst: boolean
  readonly changes: readonly Change[]
}

/** Entities in one part: large enough that messages cost nothing, small enough that reading, copying and taking over go side by side. */
export const PART_SIZE = 2000

/** A worker's end: puts an update together with the parts that were told ahead. */
export class PartsAhead {
  #parts: (readonly Change[])[] = []

  take({ isFirst, changes }: SnapshotPart): void {
    if (isFirst) this.#parts = []
    this.#parts.push(changes)
  }

  /** The update with all of its changes; what was told ahead for another one is dropped. */
  complete({ parts, ...update }: ToldUpdate): SnapshotUpdate {
    const ahead = this.#parts
    this.#parts = []
    if (parts === 0) return update
    if (ahead.length !== parts) throw new Error(`${parts} parts were told ahead, ${ahead.length} are here`)
    return { ...update, changes: [...ahead.flat(), ...update.changes] }
  }
}
