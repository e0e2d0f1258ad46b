/** Writes entities as a declarative file of format 3.0, which loads to the same entities. */
import { stringify } from 'yaml'
import type { Model } from '../contract.ts'
import { DEFAULT_WORKSPACE, EXPIRES_AT, type Row } from '../document.ts'
import { isExpired, ttlLeft } from '../expiry.ts'
import type { Field, Fields } from '../field.ts'
import { isRecord, type Values } from '../record.ts'
import { inReferenceOrder } from './identity.ts'
import { isDeclared } from './nodes.ts'

export interface DumpOptions {
  readonly model: Model
  /** For the time to live of what has one; what has ended is left out. */
  readonly nowMs: number
}

type Dumped = Pick<Row, 'kind' | 'workspace' | 'document'>

/** The file as an object: a flat list for each kind, ordered by id, without fields that are empty. */
export function dumpDeclarative(rows: Iterable<Dumped>, { model, nowMs }: DumpOptions): Readonly<Values> {
  const isDumped = ({ kind, document }: Dumped): boolean =>
    !isExpired(document, nowMs) && !(kind === 'workspaces' && document.id === DEFAULT_WORKSPACE)
  const byKind = Map.groupBy([...rows].filter(isDumped), ({ kind }) => kind)
  const file: Values = { _format_version: '3.0', _transform: false }
  for (const definition of inReferenceOrder(model.entities)) {
    const list = byKind.get(definition.kind)
    if (list === undefined || !isDeclared(definition)) continue
    file[definition.kind] = list
      .toSorted((a, b) => (a.document.id < b.document.id ? -1 : 1))
      .map((row) => declared(row, model.fieldsOf(row.kind, row.document), nowMs))
  }
  return file
}

/** The same as YAML text. */
export function dumpYaml(rows: Iterable<Dumped>, options: DumpOptions): string {
  return stringify(dumpDeclarative(rows, options), {
    aliasDuplicateObjects: false,
    lineWidth: 0,
    // Texts such as `on` are quoted, for readers of YAML 1.1, and ours.
    compat: 'yaml-1.1',
  })
}

function declared({ document, workspace }: Dumped, fields: Fields, nowMs: number): Values {
  const ttl = ttlLeft(document, nowMs)
  const isElsewhere = workspace !== '' && workspace !== DEFAULT_WORKSPACE
  const shown: Values = { ...(ttl === null ? {} : { ttl }), ...(isElsewhere ? { ws_id: workspace } : {}) }
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
