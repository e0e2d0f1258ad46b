/** What has to change so that the state is what a declarative file says. */
import type { Model } from '../contract.ts'
import { EXPIRES_AT, type Document, type Row } from '../document.ts'
import { inReferenceOrder } from './identity.ts'
import type { Entry } from './load.ts'
import { isDeclared } from './nodes.ts'

/** The store's operations, as far as a file makes them. */
export type Step =
  | { readonly op: 'put'; readonly kind: string; readonly workspace: string; readonly document: Document }
  | { readonly op: 'delete'; readonly kind: string; readonly workspace: string; readonly id: string }

/**
 * Puts what is new or changed, then deletes what is not wanted: parents are put before and deleted after what points to them.
 * Entities of kinds that no file can hold are left alone. Times of creation and change make no difference by themselves.
 */
export function diffDeclarative(
  current: Iterable<Pick<Row, 'kind' | 'workspace' | 'document'>>,
  desired: readonly Entry[],
  model: Model,
): Step[] {
  const stored = new Map<string, Pick<Row, 'kind' | 'workspace' | 'document'>>()
  for (const row of current)
    if (isDeclared(model.entities.get(row.kind)!)) stored.set(keyOf(row.kind, row.document.id), row)
  const puts: Step[] = []
  for (const { kind, workspace, document } of desired) {
    const key = keyOf(kind, document.id)
    const row = stored.get(key)
    stored.delete(key)
    if (row === undefined || row.workspace !== workspace) puts.push({ op: 'put', kind, workspace, document })
    else if (!isSame(row.document, document))
      puts.push({ op: 'put', kind, workspace, document: { ...document, ...createdAt(row.document) } })
  }
  const order = new Map(inReferenceOrder(model.entities).map(({ kind }, index) => [kind, index]))
  const deletes = [...stored.values()].toSorted((a, b) => order.get(b.kind)! - order.get(a.kind)!)
  return [
    ...puts,
    ...deletes.map(({ kind, workspace, document: { id } }): Step => ({ op: 'delete', kind, workspace, id })),
  ]
}

function keyOf(kind: string, id: string): string {
  return `${kind} ${id}`
}

function createdAt(document: Document): object {
  return document['created_at'] === undefined ? {} : { created_at: document['created_at'] }
}

const TIMES = new Set(['created_at', 'updated_at'])
/** Seconds to live are whole seconds from now, so that the end moves by what passes between reading and writing a file. */
const SAME_END_S = 2

function isSame(a: Document, b: Document): boolean {
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    if (TIMES.has(name)) continue
    if (name === EXPIRES_AT && isNear(a[name], b[name])) continue
    if (!isEqual(a[name], b[name])) return false
  }
  return true
}

function isNear(a: unknown, b: unknown): boolean {
  return typeof a === 'number' && typeof b === 'number' && Math.abs(a - b) <= SAME_END_S
}

/** Equal as JSON, whatever the order of keys; a field that is not there equals null. */
function isEqual(a: unknown, b: unknown): boolean {
  const left = a ?? null
  const right = b ?? null
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left) !== Array.isArray(right)) return false
  const keys = new Set([...Object.keys(left), ...Object.keys(right)])
  if (Array.isArray(left) && left.length !== (right as unknown[]).length) return false
  for (const key of keys) if (!isEqual((left as any)[key], (right as any)[key])) return false
  return true
}
