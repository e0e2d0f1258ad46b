/**
 * A state with changes on top that are not committed yet: what the later operations of a transaction, and the later requests
 * of a group, see. Keeps what it changed with what was there before; the state below is only read.
 */
import type { Document, Row } from '#model/document.ts'
import type { Filter, Page, PageOfRows, StateReader } from './contract.ts'
import { offsetAfter, startOf } from './offset.ts'
import type { Projection, UniqueKey } from './projection.ts'

/** An entity that was changed: what stood below, and what is there now (undefined: gone). */
export interface Touched {
  readonly kind: string
  readonly id: string
  readonly before: Row | undefined
  readonly now: Row | undefined
}

export class RunningState implements StateReader {
  readonly #base: StateReader
  readonly #projection: Projection
  readonly #revision: number
  readonly #touched = new Map<string, Touched>()
  /** Ids by unique key: several, while a transaction is on its way to swapping two names. */
  readonly #holders = new Map<string, Set<string>>()
  readonly #referrers = new Map<string, Set<string>>()
  #lastRead: { readonly place: string; readonly row: Row | undefined } | undefined
  readonly #emptyBelow = new Map<string, boolean>()

  /** `revision` is what rows that are changed here say of themselves: the one that they would get. */
  constructor(base: StateReader, projection: Projection, revision: number) {
    this.#base = base
    this.#projection = projection
    this.#revision = revision
  }

  async put(kind: string, workspace: string, document: Document): Promise<void> {
    await this.#change(kind, document.id, { kind, workspace, document, revision: this.#revision })
  }

  async remove(kind: string, id: string): Promise<void> {
    await this.#change(kind, id, undefined)
  }

  /** In the order in which they were first touched; rows touched while iterating come too. */
  touched(): Iterable<Touched> {
    return this.#touched.values()
  }

  isTouched(kind: string, id: string): boolean {
    return this.#touched.has(rowKey(kind, id))
  }

  async get(kind: string, id: string): Promise<Row | undefined> {
    const touched = this.#touched.get(rowKey(kind, id))
    return touched ? touched.now : this.#below(kind, id)
  }

  async lookup(kind: string, field: string, value: unknown, workspace: string): Promise<Row | undefined> {
    const key = this.#projection.lookupKey(kind, field, value, workspace)
    if (!key) return undefined
    const holder = [...(this.#holders.get(keyText(key)) ?? [])].at(-1)
    if (holder !== undefined) return this.get(kind, holder)
    const below = await this.#base.lookup(kind, field, value, workspace)
    return below && !this.isTouched(kind, below.document.id) ? below : undefined
  }

  /** Another row that has a unique value of this one. */
  async otherHolder(row: Row, key: UniqueKey): Promise<Row | undefined> {
    const { id } = row.document
    for (const holder of this.#holders.get(keyText(key)) ?? []) if (holder !== id) return this.get(row.kind, holder)
    const [field, value] = this.#projection.lookupOf(row, key)
    const below = await this.#base.lookup(row.kind, field, value, row.workspace)
    return below && below.document.id !== id && !this.isTouched(row.kind, below.document.id) ? below : undefined
  }

  async list(kind: string, filter: Filter, page: Page): Promise<PageOfRows> {
    const start = startOf(page)
    const rows = this.#changedRows(kind, filter, start)
    let { offset } = page
    let unchanged = 0
    // One more than asked tells whether there is a next page.
    while (unchanged <= page.size && !(await this.#isEmptyBelow(kind))) {
      const below = await this.#base.list(kind, filter, {
        size: page.size,
        ...(offset === undefined ? {} : { offset }),
      })
      for (const row of below.rows) {
        if (this.isTouched(kind, row.document.id)) continue
        rows.push(row)
        unchanged++
      }
      offset = below.offset
      if (offset === undefined) break
    }
    rows.sort((a, b) => (a.document.id < b.document.id ? -1 : 1))
    const last = rows[page.size - 1]
    return rows.length > page.size && last
      ? { rows: rows.slice(0, page.size), offset: offsetAfter(last.document.id) }
      : { rows }
  }

  #changedRows(kind: string, filter: Filter, start: string): Row[] {
    const rows: Row[] = []
    const take = (row: Row | undefined) => {
      if (row && row.document.id > start && this.#projection.matches(row, filter)) rows.push(row)
    }
    if (filter.reference) {
      const ids = this.#referrers.get(referenceKey(kind, filter.reference.field, filter.reference.id)) ?? []
      for (const id of ids) take(this.#touched.get(rowKey(kind, id))?.now)
    } else {
      for (const touched of this.#touched.values()) if (touched.kind === kind) take(touched.now)
    }
    return rows
  }

  /** What changes a row has mostly just read it: the last one is remembered. */
  async #below(kind: string, id: string): Promise<Row | undefined> {
    const place = rowKey(kind, id)
    if (this.#lastRead?.place !== place) this.#lastRead = { place, row: await this.#base.get(kind, id) }
    return this.#lastRead.row
  }

  /** Asked once per kind: deleting many entities asks for those that refer to each, and most such kinds have no rows. */
  async #isEmptyBelow(kind: string): Promise<boolean> {
    let empty = this.#emptyBelow.get(kind)
    if (empty === undefined) {
      empty = (await this.#base.list(kind, {}, { size: 1 })).rows.length === 0
      this.#emptyBelow.set(kind, empty)
    }
    return empty
  }

  async #change(kind: string, id: string, now: Row | undefined): Promise<void> {
    const place = rowKey(kind, id)
    const touched = this.#touched.get(place)
    const before = touched ? touched.before : await this.#below(kind, id)
    if (touched?.now) this.#index(touched.now, (map, key) => map.get(key)?.delete(id))
    this.#touched.set(place, { kind, id, before, now })
    if (now) this.#index(now, (map, key) => map.set(key, (map.get(key) ?? new Set()).add(id)))
  }

  #index({ kind, workspace, document }: Row, change: (map: Map<string, Set<string>>, key: string) => void): void {
    for (const key of this.#projection.uniqueKeys(kind, workspace, document)) change(this.#holders, keyText(key))
    for (const { rule, id } of this.#projection.references(kind, document)) {
      change(this.#referrers, referenceKey(kind, rule.field, id))
    }
  }
}

function rowKey(kind: string, id: string): string {
  return `${kind}\0${id}`
}

export function keyText({ kind, workspace, field, value }: UniqueKey): string {
  return `${kind}\0${workspace}\0${field}\0${value}`
}

export function referenceKey(kind: string, field: string, id: string): string {
  return `${kind}\0${field}\0${id}`
}
