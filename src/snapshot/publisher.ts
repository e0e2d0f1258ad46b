/**
 * The main thread's side of snapshots: turns the state and the entries of the log into updates for workers, and knows which revision
 * each worker serves. A worker that starts late gets the whole state as of now, then every change in order.
 */
import type { Change, Document, Row } from '#model/document.ts'
import type { EntityDefinition } from '#model/schema.ts'
import type { ConfigStore, LogEntry } from '#store/contract.ts'
import type { Position } from '#store/follower.ts'
import type { References } from './references.ts'
import { PART_SIZE, type SnapshotPart, type ToldUpdate } from './update.ts'

export interface PublisherOptions {
  readonly store: ConfigStore
  readonly definitions: ReadonlyMap<string, EntityDefinition>
  readonly workers: number
  readonly tell: (worker: number, update: ToldUpdate) => void
  /** Of a whole state, while the rest is still being read. */
  readonly tellPart: (worker: number, part: SnapshotPart) => void
  /** Puts secrets in place of references, for workers only. */
  readonly references?: References
  /** What the first state has to wait for before it is served. */
  readonly beforeFirst?: () => Promise<void>
  /** Told after each published revision; `isWhole` when the changes are all that there is. */
  readonly onPublished?: (position: Position, changes: readonly Change[], isWhole: boolean) => void
  /** Kinds whose rows the main thread alone takes, before workers serve their revision; `isWhole` when they are all. */
  readonly own?: {
    readonly kinds: ReadonlySet<string>
    readonly take: (rows: readonly Row[], isWhole: boolean) => void
  }
  /** Told when the lowest revision over the workers has changed by what one of them serves. */
  readonly onServed?: (revision: number) => void
}

interface WorkerState {
  /** It is there, and gets updates. */
  isFollowing: boolean
  serving: number
}

export class Publisher {
  #options: PublisherOptions
  #workers: WorkerState[]
  #position: Position = { revision: 0, hash: '' }
  #waiters = new Set<() => void>()
  /** Documents of the kinds that workers hold, for workers that start later. */
  #held = new Map<string, Change>()
  #isLoaded = false
  /** Workers that are told the parts of a load that goes on. */
  #reading = new Set<number>()

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#workers = Array.from({ length: options.workers }, () => ({ isFollowing: false, serving: -1 }))
  }

  get position(): Position {
    return this.#position
  }

  /** Kinds that every worker holds whole. */
  get heldKinds(): readonly string[] {
    return [...this.#options.definitions.values()].filter((definition) => !definition.on_demand).map(({ kind }) => kind)
  }

  held(kind: string): Change[] {
    return [...this.#held.values()].filter((change) => change.kind === kind)
  }

  /** An entity that every worker holds, as they get it: with secrets in place of references. */
  resolved(kind: string, id: string): Document | undefined {
    const change = this.#held.get(`${kind} ${id}`)
    if (change === undefined) return undefined
    return (this.#options.references?.resolve(change) ?? change).document ?? undefined
  }

  /** All of a kind, as `resolved` has them. */
  resolvedAll(kind: string): Document[] {
    return this.held(kind).flatMap(({ id }) => this.resolved(kind, id) ?? [])
  }

  /**
   * Loads the whole state from the store and gives it to every worker that runs: what refers to no secret while the rest is read, so
   * that reading and copying go side by side.
   */
  async load(): Promise<Position> {
    const { references } = this.#options
    const { head, rows } = await this.#options.store.load(this.heldKinds)
    const held = new Map<string, Change>()
    this.#reading = new Set(this.#workers.flatMap(({ isFollowing }, index) => (isFollowing ? [index] : [])))
    const parts = new Parts((part) => this.#tellPart(this.#reading, part))
    const referring: Change[] = []
    const own: Row[] = []
    for await (const row of rows) {
      if (this.#isOwn(row.kind)) {
        own.push(row)
        continue
      }
      const change = changeOf(row)
      held.set(keyOf(change), change)
      if (references?.concerns(change)) referring.push(change)
      else parts.add(change)
    }
    this.#takeVaults(held)
    await references?.readWhole(referring)
    this.#held = held
    this.#options.own?.take(own, true)
    this.#position = { revision: head.revision, hash: head.hash }
    if (!this.#isLoaded) await this.#options.beforeFirst?.()
    this.#isLoaded = true
    const last = [...parts.rest, ...this.#follow(referring)]
    for (const [index, { isFollowing }] of this.#workers.entries()) {
      if (!isFollowing) continue
      if (this.#reading.has(index)) this.#options.tell(index, this.#whole(last, parts.told))
      else this.#tellWhole(index)
    }
    this.#reading = new Set()
    this.#options.onPublished?.(this.#position, [...held.values()], true)
    return this.#position
  }

  /** A worker thread is there: it gets the state as of now, as soon as there is one, and what follows. */
  begin(index: number): void {
    this.#reading.delete(index)
    this.#workers[index] = { isFollowing: true, serving: -1 }
    if (this.#isLoaded) this.#tellWhole(index)
  }

  /** A worker thread is gone. */
  end(index: number): void {
    this.#reading.delete(index)
    this.#workers[index] = { isFollowing: false, serving: -1 }
    this.#wake()
  }

  /**
   * Publishes entries of the log, each as one revision that is served whole or not at all. Waits only for secrets that are kept
   * elsewhere and were not read yet.
   */
  async publish(entries: readonly LogEntry[]): Promise<void> {
    for (const entry of entries) {
      // By id: of an entity that moved to another workspace, workers need to know only where it is now.
      const last = new Map<string, Change>()
      const lookedUp: Change[] = []
      const own: Row[] = []
      for (const sealed of entry.effects) {
        const change = this.#options.store.open(sealed)
        if (this.#isOwn(change.kind)) {
          const { document } = change
          if (document !== null) own.push({ kind: change.kind, workspace: '', document, revision: entry.revision })
        } else if (this.#options.definitions.get(change.kind)?.on_demand) lookedUp.push(change)
        else last.set(keyOf(change), change)
      }
      const changes = [...last.values()]
      const reading = this.#read(changes)
      if (reading !== null) await reading
      for (const change of changes) this.#hold(this.#held, change)
      if (own.length > 0) this.#options.own?.take(own, false)
      this.#position = { revision: entry.revision, hash: entry.hash }
      const told = this.#resolved(changes)
      const update: ToldUpdate = {
        revision: entry.revision,
        hash: entry.hash,
        isWhole: false,
        parts: 0,
        changes: told,
        lookedUp,
      }
      for (const [index, worker] of this.#workers.entries()) if (worker.isFollowing) this.#options.tell(index, update)
      this.#options.onPublished?.(this.#position, changes, false)
    }
  }

  /** Secrets that are kept elsewhere have changed: what refers to them is given to the workers again, as the same revision. */
  renewSecrets(keys: ReadonlySet<string>): void {
    const { references } = this.#options
    if (references === undefined) return
    const concerned = [...this.#held.values()].filter((change) =>
      [...references.addressesIn([change]).keys()].some((key) => keys.has(key)),
    )
    const { revision, hash } = this.#position
    const changes = concerned.map((change) => references.resolve(change))
    for (const [index, worker] of this.#workers.entries())
      if (worker.isFollowing)
        this.#options.tell(index, { revision, hash, isWhole: false, parts: 0, changes, lookedUp: [] })
  }

  /** A worker says what it serves. */
  served(index: number, revision: number): void {
    const worker = this.#workers[index]
    if (worker === undefined || !worker.isFollowing) return
    const before = this.revision
    worker.serving = revision
    this.#wake()
    if (this.revision !== before) this.#options.onServed?.(this.revision)
  }

  /** The lowest revision over the workers that run; -1 while one has none yet. */
  get revision(): number {
    return Math.min(...this.#workers.map((worker) => worker.serving))
  }

  /** True as soon as every worker serves the revision, false after the time. */
  async waitFor(revision: number, timeoutMs: number): Promise<boolean> {
    if (this.revision >= revision) return true
    return new Promise((resolve) => {
      const settle = (isServed: boolean) => {
        clearTimeout(timer)
        this.#waiters.delete(look)
        resolve(isServed)
      }
      const look = () => {
        if (this.revision >= revision) settle(true)
      }
      const timer = setTimeout(() => settle(false), timeoutMs)
      this.#waiters.add(look)
    })
  }

  #wake(): void {
    for (const look of this.#waiters) look()
  }

  #tellWhole(index: number): void {
    const parts = new Parts((part) => this.#tellPart([index], part))
    for (const change of this.#follow([...this.#held.values()])) parts.add(change)
    this.#options.tell(index, this.#whole(parts.rest, parts.told))
  }

  #tellPart(workers: Iterable<number>, part: SnapshotPart): void {
    for (const index of workers) this.#options.tellPart(index, part)
  }

  #whole(changes: readonly Change[], parts: number): ToldUpdate {
    const { revision, hash } = this.#position
    return { revision, hash, isWhole: true, parts, changes, lookedUp: [] }
  }

  #follow(changes: readonly Change[]): readonly Change[] {
    const { references } = this.#options
    return references === undefined ? changes : changes.map((change) => references.resolve(change))
  }

  /** The changes as workers get them; when vaults are among them, with everything whose references may lead elsewhere now. */
  #resolved(changes: readonly Change[]): readonly Change[] {
    const { references } = this.#options
    if (references === undefined) return changes
    const hasVaults = changes.some(({ kind }) => kind === VAULTS)
    if (hasVaults) this.#takeVaults()
    const told = changes.map((change) => references.resolve(change))
    if (!hasVaults) return told
    const changed = new Set(changes.map(keyOf))
    const concerned = [...this.#held.values()].flatMap((change) => {
      const resolved = references.resolve(change)
      return resolved === change || changed.has(keyOf(change)) ? [] : [resolved]
    })
    return [...told, ...concerned]
  }

  /** Reads the secrets that will be needed with these changes; null when all are known. */
  #read(changes: readonly Change[]): Promise<void> | null {
    const { references } = this.#options
    if (references === undefined) return null
    if (!changes.some(({ kind }) => kind === VAULTS)) return references.read(changes)
    // Another vault may lead any reference elsewhere.
    const next = new Map(this.#held)
    for (const change of changes) this.#hold(next, change)
    this.#takeVaults(next)
    return references.read([...next.values()])
  }

  #isOwn(kind: string): boolean {
    return this.#options.own?.kinds.has(kind) === true
  }

  #hold(held: Map<string, Change>, change: Change): void {
    if (change.document === null) held.delete(keyOf(change))
    else held.set(keyOf(change), change)
  }

  #takeVaults(held = this.#held): void {
    const vaults = [...held.values()].filter(({ kind }) => kind === VAULTS)
    this.#options.references?.setVaults(vaults.map(({ document }) => document!))
  }
}

/** Cuts a stream of changes into parts; the rest goes with the update. */
class Parts {
  readonly #tell: (part: SnapshotPart) => void
  told = 0
  rest: Change[] = []

  constructor(tell: (part: SnapshotPart) => void) {
    this.#tell = tell
  }

  add(change: Change): void {
    this.rest.push(change)
    if (this.rest.length < PART_SIZE) return
    this.#tell({ isFirst: this.told === 0, changes: this.rest })
    this.told++
    this.rest = []
  }
}

const VAULTS = 'vaults'

function keyOf({ kind, id }: Change): string {
  return `${kind} ${id}`
}

function changeOf(row: Row): Change {
  return { kind: row.kind, workspace: row.workspace, id: row.document.id, document: row.document }
}
