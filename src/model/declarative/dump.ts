/** Writes entities as a declarative file of format 3.0, which loads to the same entities. */
import { stringify } from 'yaml'
import type { Model } from '../contract.ts'
import { DEFAULT_WORKSPACE, EXPIRES_AT, type Document, type Row } from '../document.ts'
import { isExpired, ttlLeft } from '../expiry.ts'
import type { Field, Fields } from '../field.ts'
import { isRecord, type Values } from '../record.ts'
import { inReferenceOrder } from './identity.ts'
import { isDeclared } from './nodes.ts'

export interface DumpOptions {
  readonly model: Model
  /** For the time to live of what has one; what has ended is left out. */
  readonly nowMs: number
  /** Name of the workspace whose rows are dumped; absent for the default one. */
  readonly workspace?: string
}

/** The file as an object: a flat list for each kind, ordered by id, without fields that are empty. */
export function dumpDeclarative(
  rows: Iterable<Pick<Row, 'kind' | 'document'>>,
  { model, nowMs, workspace }: DumpOptions,
): Readonly<Values> {
  const byKind = new Map<string, Document[]>()
  for (const { kind, document } of rows) {
    if (isExpired(document, nowMs) || (kind === 'workspaces' && document.id === DEFAULT_WORKSPACE)) continue
    const list = byKind.get(kind)
    if (list === undefined) byKind.set(kind, [document])
    else list.push(document)
  }
  const file: Values = {
    _format_version: '3.0',
    _transform: false,
    ...(workspace === undefined ? {} : { _workspace: workspace }),
  }
  for (const definition of inReferenceOrder(model.entities)) {
    const documents = byKind.get(definition.kind)
    if (documents === undefined || !isDeclared(definition)) continue
    file[definition.kind] = documents
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .map((document) => declared(document, model.fieldsOf(definition.kind, document), nowMs))
  }
  return file
}

/** The same as YAML text. */
export function dumpYaml(rows: Iterable<Pick<Row, 'kind' | 'document'>>, options: DumpOptions): string {
  return stringify(dumpDeclarative(rows, options), {
    aliasDuplicateObjects: false,
    lineWidth: 0,
    // Texts such as `on` are quoted, for readers of YAML 1.1, and ours.
    compat: 'yaml-1.1',
  })
}

function declared(document: Document, fields: Fields, nowMs: number): Values {
  const ttl = ttlLeft(document, nowMs)
  const shown: Values = ttl === null ? {} : { ttl }
  for (const [name, value] of Object.entries(document)) {
    if (name === EXPIRES_AT) continue
    const field = fields[name]
    const written = field === undefined ? value : declaredValue(field, value)
    if (written !== undefined) shown[name] = written
  }
  return shown
}

/** Undefined for what loading fills in by itself. */
function declaredValue(field: Field, value: unknown): unknown {
  if (value === null || value === undefined) return isFilledIn(field) ? null : undefined
  if (field.type === 'foreign') return isRecord(value) ? value['id'] : value
  if (field.type === 'record' && field.fields !== undefined && isRecord(value))
    return declaredRecord(field.fields, value)
  return value
}

function declaredRecord(fields: Fields, record: Readonly<Values>): Values {
  const shown: Values = {}
  for (const [name, value] of Object.entries(record)) {
    const field = fields[name]
    const written = field === undefined ? value : declaredValue(field, value)
    if (written !== undefined) shown[name] = written
  }
  return shown
}

/** A null that would become something else if it were left out. */
function isFilledIn(field: Field): boolean {
  return (field.default !== undefined && field.default !== null) || field.auto === true
}
