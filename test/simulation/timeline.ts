/** The log of one epoch as the cluster decided it, with the state after each revision by the naive rules. */
import type { Row } from '#model/document.ts'
import { canonicalJson } from '#store/canonical.ts'
import type { Head, LogEntry, Operation } from '#store/contract.ts'
import { NaiveState } from '../contract/naive-state.ts'
import { definitions } from '../contract/store-fixture.ts'

export interface Version {
  readonly revision: number
  readonly document: string | null
}

export interface Entity {
  readonly kind: string
  readonly workspace: string
  readonly id: string
  readonly versions: Version[]
}

export class Timeline {
  readonly epoch: number
  readonly base: number
  /** Where it began; null for the first, which begins with nothing. */
  readonly parent: Timeline | null
  readonly entries = new Map<number, LogEntry>()
  readonly entities = new Map<string, Entity>()
  readonly #baseHash: string
  readonly #naive = new NaiveState(definitions.entities)
  readonly #states = new Map<number, readonly Row[]>()
  head: number

  constructor(epoch: number, base: Pick<Head, 'revision' | 'hash'>, parent: Timeline | null) {
    this.epoch = epoch
    this.base = this.head = this.#naive.revision = base.revision
    this.#baseHash = base.hash
    this.parent = parent
    this.#naive.rows = parent?.stateAt(base.revision) ?? []
    this.#states.set(base.revision, this.#naive.rows)
    // One that itself began later has no versions from before that.
    let origin = parent
    while (origin?.parent && base.revision < origin.base) origin = origin.parent
    for (const [place, entity] of origin?.entities ?? []) {
      // The state is written anew: what was deleted before is not in it.
      const last = entity.versions.findLast(({ revision }) => revision <= base.revision)
      if (last && last.document !== null) this.entities.set(place, { ...entity, versions: [last] })
    }
  }

  /** Also before it began, where it is what it began with. */
  stateAt(revision: number): readonly Row[] | undefined {
    return this.#states.get(revision) ?? (revision < this.base ? this.parent?.stateAt(revision) : undefined)
  }

  entryAt(revision: number): LogEntry | undefined {
    return revision > this.base ? this.entries.get(revision) : this.parent?.entryAt(revision)
  }

  /** Whether a node with this head has gone this way. */
  leadsOver({ revision, hash }: Pick<Head, 'revision' | 'hash'>): boolean {
    if (revision === this.base) return hash === this.#baseHash
    return revision > this.base
      ? this.entries.get(revision)?.hash === hash
      : (this.parent?.leadsOver({ revision, hash }) ?? false)
  }

  /** Says what is wrong with it as the next entry; null when nothing is. */
  enter(entry: LogEntry, operations: readonly Operation[]): string | null {
    const { revision } = entry
    this.entries.set(revision, entry)
    if (revision !== this.head + 1) return `revision ${revision} was decided where ${this.head + 1} comes next`
    this.head = revision
    for (const { kind, workspace, id, document } of entry.effects) {
      const place = `${kind}\0${workspace}\0${id}`
      let entity = this.entities.get(place)
      if (!entity) this.entities.set(place, (entity = { kind, workspace, id, versions: [] }))
      entity.versions.push({ revision, document: document && canonicalJson(document) })
    }
    const isValid = this.#naive.apply(operations)
    this.#states.set(revision, this.#naive.rows)
    return isValid ? null : `revision ${revision} breaks a rule: ${JSON.stringify(operations)}`
  }
}
