/**
 * What a transaction does: from its operations and the state below them, the net effect on each entity, cascades included, or
 * the rule that it breaks. Operations are applied in order and see each other; uniqueness, foreign keys and `restrict` are
 * judged at the end, so two entities may swap their names, and one may be deleted and made again, within one transaction.
 * Everything follows from the definitions: no kind is known here by its name.
 */
import { Turns } from '#core/turns.ts'
import type { Document, Row } from '#model/document.ts'
import { isExpired } from '#model/expiry.ts'
import { canonicalJson } from './canonical.ts'
import type { Operation, StateReader, Transaction, Violation } from './contract.ts'
import { foreignId, type Projection } from './projection.ts'
import { keyText, RunningState } from './running-state.ts'

/**
 * What a transaction does to one entity. Each occurs once, except one that is deleted and made again in another workspace: it is
 * then gone from there first, and new here.
 */
export interface Effect {
  readonly kind: string
  readonly workspace: string
  readonly id: string
  readonly before: Row | undefined
  readonly after: Document | null
}

export type Effects =
  | { readonly ok: true; readonly effects: readonly Effect[] }
  | { readonly ok: false; readonly violation: Violation }

/** Rows looked at between two turns of the event loop: about 5 ms. */
const ROWS_PER_TURN = 250
/** Rows per page when following references. */
const CASCADE_PAGE = 1000

/**
 * `base` also shows rows whose time to live is over: at the transaction's time they count as absent, and one that is in the way
 * of a new entity is deleted by the same transaction.
 */
export async function computeEffects(
  base: StateReader,
  projection: Projection,
  transaction: Pick<Transaction, 'operations' | 'atMs'>,
  revision: number,
): Promise<Effects> {
  const state = new RunningState(base, projection, revision)
  const evaluation = new Evaluation(state, projection, transaction.atMs)
  for (const operation of transaction.operations) {
    const violation = await evaluation.apply(operation)
    if (violation) return { ok: false, violation }
  }
  const violation = await evaluation.check()
  return violation ? { ok: false, violation } : { ok: true, effects: netEffects(state) }
}

class Evaluation {
  readonly #state: RunningState
  readonly #projection: Projection
  readonly #atMs: number
  readonly #turns = new Turns(ROWS_PER_TURN)

  constructor(state: RunningState, projection: Projection, atMs: number) {
    this.#state = state
    this.#projection = projection
    this.#atMs = atMs
  }

  async apply(operation: Operation): Promise<Violation | undefined> {
    await this.#turns.step()
    const { kind } = operation
    const workspace = this.#projection.workspaceOf(kind, operation.workspace)
    if (operation.op === 'delete') {
      const row = await this.#state.get(kind, operation.id)
      if (row?.workspace === workspace) await this.#remove(kind, operation.id)
      return undefined
    }
    const { document } = operation
    const taken: Violation = { type: 'primary_key', kind, id: document.id }
    const existing = await this.#state.get(kind, document.id)
    if (existing && isExpired(existing.document, this.#atMs)) await this.#remove(kind, document.id)
    else if (existing && (operation.insert || existing.workspace !== workspace)) return taken
    await this.#state.put(kind, workspace, document)
    return undefined
  }

  /** The rules that hold for the state as a whole. Deleting an expired row that is in the way may touch further rows. */
  async check(): Promise<Violation | undefined> {
    for (const { kind, id, before } of this.#state.touched()) {
      await this.#turns.step()
      const now = await this.#state.get(kind, id)
      const left = before && before.workspace !== now?.workspace ? before : undefined
      const kept = left ? undefined : before
      const violation =
        (left && (await this.#restricted(left, now))) ??
        (now && ((await this.#duplicate(kept, now)) ?? (await this.#dangling(kept, now))))
      if (violation) return violation
    }
    return undefined
  }

  /** Deletes an entity, what goes with it, and the references to it that may be empty. */
  async #remove(kind: string, id: string): Promise<void> {
    const waiting = [{ kind, id }]
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      await this.#turns.step()
      if (!(await this.#state.get(next.kind, next.id))) continue
      await this.#state.remove(next.kind, next.id)
      for (const { kind: from, field, onDelete } of this.#projection.rules(next.kind).referrers) {
        if (onDelete === 'restrict') continue
        for (const row of await this.#referring(from, field, next.id)) {
          if (onDelete === 'cascade') waiting.push({ kind: from, id: row.document.id })
          else await this.#state.put(from, row.workspace, { ...row.document, [field]: null })
        }
      }
    }
  }

  async #duplicate(before: Row | undefined, now: Row): Promise<Violation | undefined> {
    const { kind, workspace, document } = now
    const held = new Set(
      before ? this.#projection.uniqueKeys(kind, before.workspace, before.document).map(keyText) : [],
    )
    for (const key of this.#projection.uniqueKeys(kind, workspace, document)) {
      // Who already had the value keeps it rightly; if another row takes it, that row is the one at fault.
      if (held.has(keyText(key))) continue
      const other = await this.#state.otherHolder(now, key)
      if (!other) continue
      if (isExpired(other.document, this.#atMs)) {
        await this.#remove(kind, other.document.id)
        continue
      }
      const fields = this.#projection.uniqueFields(kind, key.field, document)
      return { type: 'unique', kind, fields, existingId: other.document.id }
    }
    return undefined
  }

  async #dangling(before: Row | undefined, now: Row): Promise<Violation | undefined> {
    for (const { rule, id } of this.#projection.references(now.kind, now.document)) {
      const isNew = !before || foreignId(before.document[rule.field]) !== id
      if (!isNew && !this.#state.isTouched(rule.kind, id)) continue
      const target = await this.#state.get(rule.kind, id)
      const isThere = target && (!isNew || !isExpired(target.document, this.#atMs))
      if (!isThere || !this.#mayRefer(now, target)) {
        return { type: 'foreign', kind: now.kind, field: rule.field, reference: rule.kind, id }
      }
    }
    return undefined
  }

  /** Across workspaces nothing refers to anything, except to what stands in no workspace. */
  #mayRefer(from: Row, to: Row): boolean {
    return to.workspace === '' || from.workspace === '' || from.workspace === to.workspace
  }

  /** `moved`: the entity as it stands now, when it was made again in another workspace, where references to it are right. */
  async #restricted(deleted: Row, moved: Row | undefined): Promise<Violation | undefined> {
    const { id } = deleted.document
    for (const { kind, field, onDelete } of this.#projection.rules(deleted.kind).referrers) {
      if (onDelete !== 'restrict') continue
      for (const row of await this.#referring(kind, field, id)) {
        if (moved && this.#mayRefer(row, moved)) continue
        if (!isExpired(row.document, this.#atMs))
          return { type: 'restrict', kind: deleted.kind, id, referencedBy: kind }
        await this.#remove(kind, row.document.id)
      }
    }
    return undefined
  }

  async #referring(kind: string, field: string, id: string): Promise<readonly Row[]> {
    const rows: Row[] = []
    let offset: string | undefined
    do {
      const page = await this.#state.list(
        kind,
        { reference: { field, id } },
        { size: CASCADE_PAGE, ...(offset === undefined ? {} : { offset }) },
      )
      rows.push(...page.rows)
      offset = page.offset
    } while (offset !== undefined)
    return rows
  }
}

function netEffects(state: RunningState): readonly Effect[] {
  const effects: Effect[] = []
  for (const { kind, id, before, now } of state.touched()) {
    if (!before && !now) continue
    // Writing what is there already is no effect: loading the same file again leaves log and workers alone.
    if (before && now && isSame(before, now)) continue
    const isMoved = before !== undefined && now !== undefined && before.workspace !== now.workspace
    if (before && (!now || isMoved)) effects.push({ kind, workspace: before.workspace, id, before, after: null })
    if (now)
      effects.push({ kind, workspace: now.workspace, id, before: isMoved ? undefined : before, after: now.document })
  }
  return effects
}

function isSame(a: Row, b: Row): boolean {
  return a.workspace === b.workspace && canonicalJson(a.document) === canonicalJson(b.document)
}
