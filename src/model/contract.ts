/** What the rest of the gateway asks of the model: definitions, and documents that keep them. */
import type { Document } from './document.ts'
import type { Field, Fields } from './field.ts'
import type { EntityDefinition, PluginSchema } from './schema.ts'

/** Kong's `fields` object: a message, a list by index or nested fields; `@entity` lists the failed checks of the whole. */
export type FieldErrors = { readonly [field: string]: string | FieldErrors | readonly (string | FieldErrors | null)[] }

export type Checked =
  | { readonly ok: true; readonly document: Document }
  /** `isOption`: what is wrong is no field but an option of the write (`ttl`), which Kong answers with code 11. */
  | { readonly ok: false; readonly fields: FieldErrors; readonly isOption?: true }

export interface CheckContext {
  /** Unix time in ms, for created_at, updated_at and ttl. */
  readonly nowMs: number
  /** Makes ids and random strings; passed in so that tests repeat. */
  readonly uuid: () => string
  readonly randomText: () => string
  /** A given `updated_at` stays (declarative files carry it); else it becomes now, as Kong does on every write. */
  readonly keepsTimes?: boolean
  /** False when passwords and other transformed values are given as they are stored (`_transform: false`). */
  readonly transforms?: boolean
  readonly routerFlavor: 'traditional_compatible' | 'traditional' | 'expressions'
}

export interface Model {
  /** Every kind, the plugins' own (credentials) included. */
  readonly entities: ReadonlyMap<string, EntityDefinition>
  /** Every plugin whose configs validate. */
  readonly plugins: ReadonlyMap<string, PluginSchema>
  /** The `config` of each kind of vault. */
  readonly vaults: ReadonlyMap<string, Field>
  /** Names of the plugins that this gateway can run; configs of others are refused by name. */
  readonly built: ReadonlySet<string>
  /** What POST /schemas/<kind>/validate and declarative files say of a new entity; like `insert` but for the order of errors. */
  check(kind: string, input: Readonly<Record<string, unknown>>, context: CheckContext): Checked
  /** POST: shorthands, auto fields, defaults, then every check. Unknown fields are errors. */
  insert(kind: string, input: Readonly<Record<string, unknown>>, context: CheckContext): Checked
  /** PATCH: given fields change, records merge, null clears; the result is checked as a whole. */
  update(kind: string, current: Document, input: Readonly<Record<string, unknown>>, context: CheckContext): Checked
  /** PUT: like insert, keeping id and created_at of `current` when there is one. */
  upsert(
    kind: string,
    current: Document | null,
    input: Readonly<Record<string, unknown>>,
    context: CheckContext,
  ): Checked
  /** What is wrong with a value for one field, without the rest of an entity (names in URLs); null when nothing is. */
  checkField(kind: string, field: string, value: unknown): string | null
  /** The fields of this document: for plugins and vaults with those of its configuration. */
  fieldsOf(kind: string, document: Document): Fields
  /** The document as the Admin API shows it: fields with deprecated names echoed, secrets as Kong shows them, ttl as seconds left. */
  present(kind: string, document: Document, nowMs: number): Readonly<Record<string, unknown>>
}
