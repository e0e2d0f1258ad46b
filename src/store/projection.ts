/**
 * What follows from a document besides itself: the keys under which it is unique, what it refers to, its tags, and when it ends.
 * Derived from the definitions only, and compiled once per kind.
 */
import { createHash } from 'node:crypto'
import { EXPIRES_AT, type Document, type Row } from '#model/document.ts'
import type { EntityDefinition } from '#model/schema.ts'
import { canonicalJson } from './canonical.ts'
import type { Filter } from './contract.ts'
import type { Secrets } from './secrets.ts'

/** The field name by which the fields of `cache_key` are looked up together. */
export const TOGETHER = 'cache_key'

/** A place that only one row may have. `value` is canonical JSON, of a secret its look-up key. */
export interface UniqueKey {
  readonly kind: string
  /** '' when the field is unique across workspaces. */
  readonly workspace: string
  readonly field: string
  readonly value: string
}

export interface Reference {
  readonly field: string
  readonly kind: string
  readonly onDelete: 'cascade' | 'null' | 'restrict'
}

/** A field of another kind that refers to this one. */
export interface Referrer {
  readonly kind: string
  readonly field: string
  readonly onDelete: 'cascade' | 'null' | 'restrict'
}

export interface KindRules {
  readonly kind: string
  readonly workspaceable: boolean
  readonly references: readonly Reference[]
  readonly referrers: readonly Referrer[]
  readonly uniques: readonly UniqueRule[]
}

export interface UniqueRule {
  readonly field: string
  /** The fields that make the key: one, or those of `cache_key`. */
  readonly fields: readonly string[]
  readonly together: boolean
  readonly acrossWorkspaces: boolean
  readonly secret: boolean
}

export class Projection {
  readonly #rules: ReadonlyMap<string, KindRules>
  readonly #secrets: Secrets

  constructor(entities: ReadonlyMap<string, EntityDefinition>, secrets: Secrets) {
    this.#secrets = secrets
    this.#rules = new Map(
      [...entities.values()].map((definition) => [definition.kind, compileRules(definition, entities)]),
    )
  }

  /** Throws for a kind that is not defined: its writer should have answered long before. */
  rules(kind: string): KindRules {
    const rules = this.#rules.get(kind)
    if (!rules) throw new TypeError(`expected a kind that is defined, got ${JSON.stringify(kind)}`)
    return rules
  }

  knows(kind: string): boolean {
    return this.#rules.has(kind)
  }

  kinds(): readonly string[] {
    return [...this.#rules.keys()]
  }

  /** The workspace in which rows of a kind stand: '' for kinds that are in none. */
  workspaceOf(kind: string, workspace: string): string {
    return this.rules(kind).workspaceable ? workspace : ''
  }

  /** The keys of a document, in the order of the definition. Fields without a value are not unique; keys of several fields are. */
  uniqueKeys(kind: string, workspace: string, document: Document): readonly UniqueKey[] {
    const keys: UniqueKey[] = []
    for (const rule of this.rules(kind).uniques) {
      const value = rule.together ? pick(document, rule.fields) : document[rule.field]
      if (value !== null && value !== undefined) keys.push(this.#key(kind, rule, value, workspace))
    }
    return keys
  }

  /** The key of a look-up, or undefined when no row can have that value. */
  lookupKey(kind: string, field: string, value: unknown, workspace: string): UniqueKey | undefined {
    const rule = this.rules(kind).uniques.find((candidate) => candidate.field === field)
    if (!rule) throw new TypeError(`expected a unique field of ${kind}, got ${JSON.stringify(field)}`)
    if (value === null || value === undefined) return undefined
    return this.#key(kind, rule, rule.together ? pick(value as Document, rule.fields) : value, workspace)
  }

  /** Field and value by which a row with this key is looked up. */
  lookupOf(row: Row, key: UniqueKey): readonly [field: string, value: unknown] {
    const fields = this.uniqueFields(row.kind, key.field, row.document)
    return [key.field, key.field === TOGETHER ? fields : row.document[key.field]]
  }

  /** Fields of a unique key with their values, as messages name them. */
  uniqueFields(kind: string, field: string, document: Document): Readonly<Record<string, unknown>> {
    const rule = this.rules(kind).uniques.find((candidate) => candidate.field === field)
    return pick(document, rule?.fields ?? [field])
  }

  /** The ids that a document refers to, by field. */
  references(kind: string, document: Document): readonly { readonly rule: Reference; readonly id: string }[] {
    const found = []
    for (const rule of this.rules(kind).references) {
      const id = foreignId(document[rule.field])
      if (id !== undefined) found.push({ rule, id })
    }
    return found
  }

  matches(row: Row, filter: Filter): boolean {
    const { workspace, reference, tags, equals } = filter
    if (workspace !== undefined && row.workspace !== this.workspaceOf(row.kind, workspace)) return false
    if (reference && foreignId(row.document[reference.field]) !== reference.id) return false
    if (tags) {
      const own = tagsOf(row.document)
      const has = (tag: string) => own.includes(tag)
      if (!(tags.match === 'all' ? tags.values.every(has) : tags.values.some(has))) return false
    }
    if (equals) {
      const wanted = this.lookupKey(row.kind, equals.field, equals.value, row.workspace)
      const keys = this.uniqueKeys(row.kind, row.workspace, row.document)
      if (!wanted || !keys.some((key) => key.field === wanted.field && key.value === wanted.value)) return false
    }
    return true
  }

  /** Per kind, what its derived rows depend on: a store that made them under another value makes them anew. */
  fingerprints(): Readonly<Record<string, string>> {
    const entries = [...this.#rules.values()].map(({ kind, workspaceable, references, uniques }) => {
      const lookup = uniques.some(({ secret }) => secret) ? this.#secrets.lookupKey(kind, '', null) : null
      const said = canonicalJson({ workspaceable, references, uniques, lookup })
      return [kind, createHash('sha256').update(said).digest('hex')]
    })
    return Object.fromEntries(entries)
  }

  #key(kind: string, rule: UniqueRule, value: unknown, workspace: string): UniqueKey {
    const text = rule.secret ? this.#secrets.lookupKey(kind, rule.field, value) : canonicalJson(value)
    return {
      kind,
      workspace: rule.acrossWorkspaces ? '' : this.workspaceOf(kind, workspace),
      field: rule.field,
      value: text,
    }
  }
}

export function tagsOf(document: Document): readonly string[] {
  return Array.isArray(document.tags) ? (document.tags as string[]) : []
}

/** The moment in Unix ms from which the row is no longer there, or null. */
export function expiryMs(document: Document): number | null {
  const seconds = document[EXPIRES_AT]
  return typeof seconds === 'number' ? seconds * 1000 : null
}

export function foreignId(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { id } = value as { id?: unknown }
  return typeof id === 'string' ? id : undefined
}

function compileRules(definition: EntityDefinition, entities: ReadonlyMap<string, EntityDefinition>): KindRules {
  const { kind, cache_key: together = [] } = definition
  const uniques: UniqueRule[] = Object.entries(definition.fields)
    .filter(([, field]) => field.unique)
    .map(([name, field]) => ({
      field: name,
      fields: [name],
      together: false,
      acrossWorkspaces: field.unique_across_ws === true,
      secret: field.encrypted === true,
    }))
  // A `cache_key` of one field only names the field that Kong caches by, and that field is unique by itself.
  if (together.length > 1) {
    const secret = together.some((name) => definition.fields[name]?.encrypted === true)
    uniques.push({ field: TOGETHER, fields: together, together: true, acrossWorkspaces: false, secret })
  }
  return {
    kind,
    workspaceable: definition.workspaceable === true,
    references: referencesOf(definition),
    referrers: [...entities.values()].flatMap((other) =>
      referencesOf(other)
        .filter((reference) => reference.kind === kind)
        .map(({ field, onDelete }) => ({ kind: other.kind, field, onDelete })),
    ),
    uniques,
  }
}

function referencesOf({ fields }: EntityDefinition): readonly Reference[] {
  return Object.entries(fields)
    .filter(([, field]) => field.type === 'foreign')
    .map(([name, field]) => ({ field: name, kind: field.reference as string, onDelete: field.on_delete ?? 'restrict' }))
}

function pick(
  document: Readonly<Record<string, unknown>>,
  fields: readonly string[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(fields.map((field) => [field, document[field] ?? null]))
}
