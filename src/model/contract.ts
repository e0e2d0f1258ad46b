/** What the rest of the gateway asks of the model: definitions, and documents that keep them. */
import type { Document } from './document.ts'
import type { EntityDefinition, PluginSchema } from './schema.ts'

/** Kong's `fields` object: a message, a list by index or nested fields; `@entity` lists the failed checks of the whole. */
export type FieldErrors = { readonly [field: string]: string | FieldErrors | readonly (string | FieldErrors | null)[] }

export type Checked =
  | { readonly ok: true; readonly document: Document }
  | { readonly ok: false; readonly fields: FieldErrors }

export interface CheckContext {
  /** Unix time in ms, for created_at, updated_at and ttl. */
  readonly nowMs: number
  /** Makes ids and random strings; passed in so that tests repeat. */
  readonly uuid: () => string
  readonly randomText: () => string
  readonly routerFlavor: 'traditional_compatible' | 'traditional' | 'expressions'
}

export interface Model {
  /** Every kind, the plugins' own (credentials) included. */
  readonly entities: ReadonlyMap<string, EntityDefinition>
  /** Every plugin whose configs validate. */
  readonly plugins: ReadonlyMap<string, PluginSchema>
  /** Names of the plugins that this gateway can run; configs of others are refused by name. */
  readonly built: ReadonlySet<string>
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
  /** The document as the Admin API shows it: fields with deprecated names echoed, secrets as Kong shows them, ttl as seconds left. */
  present(kind: string, document: Document, nowMs: number): Readonly<Record<string, unknown>>
}
