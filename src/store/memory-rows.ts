/** The rows of the memory store with their look-up tables. `nowMs` decides which rows are still there: -Infinity shows all. */
import type { Row } from '#model/document.ts'
import { isExpired } from '#model/expiry.ts'
import { canonicalJson } from './canonical.ts'
import type { Filter, Page, PageOfRows } from './contract.ts'
import type { StoredRow } from './digest.ts'
import { offsetAfter, startOf } from './offset.ts'
import { OrderedIds } from './ordered-ids.ts'
import { expiryMs, type Projection } from './projection.ts'
import { keyText, referenceKey } from './running-state.ts'

interface Kept {
  readonly row: Row
  /** Canonical sealed bytes, or null when they are those of the row's document. */
  readonly sealed: string | null
}

export class MemoryRows {
  readonly #projection: Projection
  readonly #kept = new Map<string, Map<string, Kept>>()
  readonly #byKey = new Map<string, string>()
  /** Ids per kind, per kind and workspace, and per reference. */
  readonly #ordered = new Map<string, OrderedIds>()
  /** Rows that will end; few, and looked through by housekeeping only. */
  readonly #ending = new Map<string, Row>()

  constructor(projection: Projection) {
    this.#projection = projection
  }

  get(kind: string, id: string, nowMs: number): Row | undefined {
    const row = this.#kept.get(kind)?.get(id)?.row
    return row && isExpired(row.document, nowMs) ? undefined : row
  }

  lookup(kind: string, field: string, value: unknown, workspace: string, nowMs: number): Row | undefined {
    const key = this.#projection.lookupKey(kind, field, value, workspace)
    const id = key && this.#byKey.get(keyText(key))
    return id === undefined ? undefined : this.get(kind, id, nowMs)
  }

  list(kind: string, filter: Filter, page: Page, nowMs: number): PageOfRows {
    const start = startOf(page)
    const rows: Row[] = []
    const ids = this.#ordered.get(this.#source(kind, filter))
    for (const id of ids?.after(start) ?? []) {
      const row = this.get(kind, id, nowMs)
      if (!row || !this.#projection.matches(row, filter)) continue
      const last = rows.at(-1)
      if (rows.length === page.size && last) return { rows, offset: offsetAfter(last.document.id) }
      rows.push(row)
    }
    return { rows }
  }

  all(kind: string, nowMs: number): readonly Row[] {
    const rows = [...(this.#ordered.get(kind)?.after('') ?? [])].map((id) => this.get(kind, id, nowMs))
    return rows.filter((row) => row !== undefined)
  }

  /** Throws TypeError for a kind that is not defined, like `list`. */
  stored(kind: string, id: string): StoredRow | undefined {
    const kept = this.#kept.get(kind)?.get(id)
    if (!kept) return undefined
    const { workspace, revision, document } = kept.row
    return { kind, workspace, id, revision, sealed: kept.sealed ?? canonicalJson(document) }
  }

  expired(atMs: number, limit: number): readonly { kind: string; workspace: string; id: string }[] {
    return [...this.#ending.values()]
      .filter((row) => isExpired(row.document, atMs))
      .slice(0, limit)
      .map(({ kind, workspace, document }) => ({ kind, workspace, id: document.id }))
  }

  put(row: Row, sealed: string | null): void {
    const { kind, document } = row
    this.delete(kind, document.id)
    let rows = this.#kept.get(kind)
    if (!rows) this.#kept.set(kind, (rows = new Map()))
    rows.set(document.id, { row, sealed })
    for (const key of this.#keys(row)) this.#byKey.set(key, document.id)
    for (const place of this.#places(row)) {
      let ids = this.#ordered.get(place)
      if (!ids) this.#ordered.set(place, (ids = new OrderedIds()))
      ids.add(document.id)
    }
    if (expiryMs(document) !== null) this.#ending.set(endingKey(row), row)
  }

  delete(kind: string, id: string): void {
    const row = this.#kept.get(kind)?.get(id)?.row
    if (!row) return
    this.#kept.get(kind)?.delete(id)
    // Two rows that swapped a name in one transaction: the key may already be the other's.
    for (const key of this.#keys(row)) if (this.#byKey.get(key) === id) this.#byKey.delete(key)
    for (const place of this.#places(row)) {
      const ids = this.#ordered.get(place)
      ids?.delete(id)
      if (ids?.isEmpty) this.#ordered.delete(place)
    }
    this.#ending.delete(endingKey(row))
  }

  #source(kind: string, { workspace, reference }: Filter): string {
    this.#projection.rules(kind)
    if (reference) return referenceKey(kind, reference.field, reference.id)
    return workspace === undefined ? kind : `${kind}\0${this.#projection.workspaceOf(kind, workspace)}`
  }

  #places(row: Row): readonly string[] {
    const { kind, workspace, document } = row
    const references = this.#projection.references(kind, document)
    return [kind, `${kind}\0${workspace}`, ...references.map(({ rule, id }) => referenceKey(kind, rule.field, id))]
  }

  #keys({ kind, workspace, document }: Row): readonly string[] {
    return this.#projection.uniqueKeys(kind, workspace, document).map(keyText)
  }
}

function endingKey({ kind, document }: Row): string {
  return `${kind}\0${document.id}`
}
