/**
 * What a worker knows of entities that are looked up by key (consumers, credentials): bounded, exact, and never waiting when it
 * knows. A change of the configuration takes out just what it touches. A look-up that was under way meanwhile may bring what was
 * true before the change: that is right for those who asked before it, but is not kept, and who asks later asks anew.
 */
import { LRUCache } from 'lru-cache'
import { DEFAULT_WORKSPACE, EXPIRES_AT, type Change, type Document } from '#model/document.ts'
import type { EntityDefinition } from '#model/schema.ts'
import type { EntityReader } from '#pdk/pdk.ts'

export type LookupRequest =
  | { readonly by: 'id'; readonly kind: string; readonly id: string }
  | {
      readonly by: 'unique'
      readonly kind: string
      readonly field: string
      readonly value: string
      /** Values are unique within one. */
      readonly workspace: string
    }
  | { readonly by: 'reference'; readonly kind: string; readonly field: string; readonly id: string }

export interface EntityCacheOptions {
  readonly definitions: ReadonlyMap<string, EntityDefinition>
  /** Bytes of documents kept, counted by their JSON text. */
  readonly maxBytes: number
  /** Keys remembered as unknown; apart, so that random keys can't drive out good ones. */
  readonly maxMisses: number
  /** Look-ups under way at once; further ones fail with STORE_UNAVAILABLE. */
  readonly maxPending: number
  readonly nowMs: () => number
  /** Asks the main thread; rejects with code STORE_UNAVAILABLE when the store can't be asked. */
  readonly ask: (request: LookupRequest) => Promise<readonly Document[]>
  /** An entity of a kind that every worker holds whole. */
  readonly held: (kind: string, id: string) => Document | undefined
  readonly heldAll: (kind: string) => Iterable<Document>
}

export interface EntityCacheFigures {
  hits: number
  misses: number
}

export class EntityCache implements EntityReader {
  readonly figures: EntityCacheFigures = { hits: 0, misses: 0 }
  #options: EntityCacheOptions
  #found: LRUCache<string, readonly Document[]>
  #unknown: LRUCache<string, true>
  /** Look-ups whose answers are as new as the configuration. */
  #pending = new Map<string, Promise<readonly Document[]>>()
  /** All look-ups, with those whose answers a change has overtaken. */
  #asking = 0
  /** Cache keys that hold a document, by its kind and id. */
  #keysOf = new Map<string, Set<string>>()

  constructor(options: EntityCacheOptions) {
    this.#options = options
    this.#found = new LRUCache({
      maxSize: Math.max(1024, options.maxBytes),
      sizeCalculation: (documents) =>
        200 + documents.reduce((sum, document) => sum + JSON.stringify(document).length * 2, 0),
      dispose: (documents, key) => {
        for (const document of documents) this.#unlink(document, key)
      },
    })
    this.#unknown = new LRUCache({ max: Math.max(1, options.maxMisses) })
  }

  get(kind: string, id: string): Document | null | Promise<Document | null> {
    if (!this.#options.definitions.get(kind)?.on_demand) return this.#options.held(kind, id) ?? null
    return first(this.#look(`${kind} id ${id}`, { by: 'id', kind, id }))
  }

  lookup(kind: string, field: string, value: string): Document | null | Promise<Document | null> {
    return this.#lookupIn(DEFAULT_WORKSPACE, kind, field, value)
  }

  /** The same cache, with look-ups by value in this workspace. */
  inWorkspace(workspace: string): EntityReader {
    if (workspace === DEFAULT_WORKSPACE) return this
    return {
      get: (kind, id) => this.get(kind, id),
      lookup: (kind, field, value) => this.#lookupIn(workspace, kind, field, value),
      listBy: (kind, field, id) => this.listBy(kind, field, id),
    }
  }

  #lookupIn(workspace: string, kind: string, field: string, value: string): Document | null | Promise<Document | null> {
    if (!this.#options.definitions.get(kind)?.on_demand) {
      for (const document of this.#options.heldAll(kind)) if (document[field] === value) return document
      return null
    }
    return first(this.#look(uniqueKey(kind, field, value, workspace), { by: 'unique', kind, field, value, workspace }))
  }

  listBy(kind: string, field: string, id: string): readonly Document[] | Promise<readonly Document[]> {
    if (!this.#options.definitions.get(kind)?.on_demand) {
      return [...this.#options.heldAll(kind)].filter(
        (document) => (document[field] as { id?: string } | null)?.id === id,
      )
    }
    return this.#look(`${kind} by ${field} ${id}`, { by: 'reference', kind, field, id })
  }

  /** Takes out what the changes touch; called before the snapshot of their revision is served. */
  invalidate(changes: readonly Change[]): void {
    for (const { kind, id, workspace, document } of changes) {
      for (const key of this.#keysOf.get(`${kind} ${id}`) ?? []) this.#found.delete(key)
      this.#drop(`${kind} id ${id}`)
      if (document !== null) this.#dropKeysOf(kind, document, workspace)
    }
    // A deleted or changed row may be the answer that a look-up under way is bringing.
    const prefixes = [...new Set(changes.map(({ kind }) => `${kind} `))]
    for (const key of this.#pending.keys())
      if (prefixes.some((prefix) => key.startsWith(prefix))) this.#pending.delete(key)
  }

  /** What is kept under a key (`kind field value`), undefined when nothing is. */
  peek(key: string): readonly Document[] | undefined {
    return this.#found.peek(key)
  }

  /** Memory in use, as it is counted against `maxBytes`. */
  get bytes(): number {
    return this.#found.calculatedSize
  }

  /** Documents by which keys can be taken out; as many as are kept, never more. */
  get linked(): number {
    return this.#keysOf.size
  }

  drop(key: string): void {
    this.#drop(key)
  }

  clear(): void {
    this.#found.clear()
    this.#unknown.clear()
    this.#pending.clear()
  }

  /** Every key under which a new version of the document can be found. */
  #dropKeysOf(kind: string, document: Document, workspace: string): void {
    const fields = this.#options.definitions.get(kind)?.fields ?? {}
    for (const [name, field] of Object.entries(fields)) {
      const value = document[name]
      if (field.unique && typeof value === 'string') this.#drop(uniqueKey(kind, name, value, workspace))
      if (field.type === 'foreign' && value !== null && value !== undefined)
        this.#drop(`${kind} by ${name} ${(value as { id: string }).id}`)
    }
  }

  #drop(key: string): void {
    this.#found.delete(key)
    this.#unknown.delete(key)
  }

  #look(key: string, request: LookupRequest): readonly Document[] | Promise<readonly Document[]> {
    const known = this.#found.get(key)
    if (known !== undefined) {
      if (known.every((document) => !isExpired(document, this.#options.nowMs()))) {
        this.figures.hits++
        return known
      }
      this.#found.delete(key)
    } else if (this.#unknown.get(key) === true) {
      this.figures.hits++
      return NOTHING
    }
    this.figures.misses++
    return this.#pending.get(key) ?? this.#ask(key, request)
  }

  #ask(key: string, request: LookupRequest): Promise<readonly Document[]> {
    if (this.#asking >= this.#options.maxPending) return Promise.reject(unavailable('too many look-ups are under way'))
    this.#asking++
    const promise: Promise<readonly Document[]> = this.#options.ask(request).then(
      (documents) => {
        if (this.#ended(key, promise)) this.#remember(key, request, documents)
        return documents
      },
      (error: unknown) => {
        this.#ended(key, promise)
        throw error
      },
    )
    this.#pending.set(key, promise)
    return promise
  }

  /** Says whether no change has overtaken the answer. */
  #ended(key: string, promise: Promise<readonly Document[]>): boolean {
    this.#asking--
    if (this.#pending.get(key) !== promise) return false
    this.#pending.delete(key)
    return true
  }

  #remember(key: string, request: LookupRequest, documents: readonly Document[]): void {
    if (documents.length > 0 || request.by === 'reference') this.#keep(key, documents)
    else this.#unknown.set(key, true)
  }

  #keep(key: string, documents: readonly Document[]): void {
    this.#found.set(key, documents)
    // What is larger than the whole cache is not kept, and then never disposed of either.
    if (!this.#found.has(key)) return
    const kind = key.slice(0, key.indexOf(' '))
    for (const document of documents) {
      const id = `${kind} ${document.id}`
      const keys = this.#keysOf.get(id)
      if (keys === undefined) this.#keysOf.set(id, new Set([key]))
      else keys.add(key)
    }
  }

  #unlink(document: Document, key: string): void {
    const id = `${key.slice(0, key.indexOf(' '))} ${document.id}`
    const keys = this.#keysOf.get(id)
    if (keys === undefined) return
    keys.delete(key)
    if (keys.size === 0) this.#keysOf.delete(id)
  }
}

const NOTHING: readonly Document[] = []

/** The key that `/cache` knows, with the workspace where it is not the default one. */
function uniqueKey(kind: string, field: string, value: string, workspace: string): string {
  const place = workspace === '' || workspace === DEFAULT_WORKSPACE ? field : `${field}@${workspace}`
  return `${kind} ${place} ${value}`
}

function first(found: readonly Document[] | Promise<readonly Document[]>): Document | null | Promise<Document | null> {
  return found instanceof Promise ? found.then((documents) => documents[0] ?? null) : (found[0] ?? null)
}

/** Credentials with a time to live carry the moment of their end (Unix seconds). */
function isExpired(document: Document, nowMs: number): boolean {
  const end = document[EXPIRES_AT]
  return typeof end === 'number' && end * 1000 <= nowMs
}

function unavailable(message: string): Error {
  return Object.assign(new Error(message), { code: 'STORE_UNAVAILABLE' })
}
