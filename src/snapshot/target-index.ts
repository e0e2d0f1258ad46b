/** Targets by their upstream, kept from change to change, so that a change of one looks at no other. */
import type { Change } from '#model/document.ts'
import type { Target } from '#model/entities/target.ts'

export interface TargetChanges {
  readonly put: Map<string, Target>
  /** Names (`host:port`) that are there no more. */
  readonly removed: Set<string>
}

export class TargetIndex {
  readonly #byId = new Map<string, Target>()
  /** By the upstream's id and their own. */
  readonly #byUpstream = new Map<string, Map<string, Target>>()

  of(upstreamId: string): Target[] {
    return [...(this.#byUpstream.get(upstreamId)?.values() ?? [])]
  }

  ids(): Iterable<string> {
    return this.#byId.keys()
  }

  /** Takes changes of targets; what of them is new and what is gone, by the id of the upstream. */
  apply(changes: readonly Change[]): ReadonlyMap<string, TargetChanges> {
    const changed = new Map<string, TargetChanges>()
    const of = (upstreamId: string): TargetChanges => {
      let entry = changed.get(upstreamId)
      if (entry === undefined) changed.set(upstreamId, (entry = { put: new Map(), removed: new Set() }))
      return entry
    }
    // All that is gone first: names may pass from one target to another.
    for (const { id } of changes) {
      const old = this.#byId.get(id)
      if (old === undefined) continue
      of(old.upstream.id).removed.add(old.target)
      this.#byId.delete(id)
      const known = this.#byUpstream.get(old.upstream.id)!
      known.delete(id)
      if (known.size === 0) this.#byUpstream.delete(old.upstream.id)
    }
    for (const { id, document } of changes) {
      if (document === null) continue
      const target = document as unknown as Target
      const { put, removed } = of(target.upstream.id)
      put.set(id, target)
      removed.delete(target.target)
      this.#byId.set(id, target)
      let known = this.#byUpstream.get(target.upstream.id)
      if (known === undefined) this.#byUpstream.set(target.upstream.id, (known = new Map()))
      known.set(id, target)
    }
    return changed
  }
}
