/** How entities and plugin configs are defined. Everything else that knows a field (validation, Admin API, OpenAPI, docs, rows) is derived. */
import { primitives, type Check, type Field, type Fields, type Static } from './field.ts'
import type { Transformation } from './transformations.ts'
import { vocabulary } from './vocabulary.ts'

export type { Check, Field, Fields, Static }

export const t = { ...primitives, ...vocabulary }

/** The definition of one kind of entity. */
export interface EntityDefinition<F extends Fields = Fields> {
  /** Name of the kind: of its list in a declarative file, and of its collection in the Admin API unless `admin_api_name` differs. */
  readonly kind: string
  readonly about: string
  /** The plugin that it belongs to: it has endpoints only where that plugin can run. */
  readonly plugin?: string
  readonly fields: F
  /** The other field by which the Admin API finds one. */
  readonly endpoint_key?: string
  /** Fields that are unique together (for plugins: name, route, service, consumer). */
  readonly cache_key?: readonly string[]
  readonly primary_key?: readonly string[]
  readonly workspaceable?: boolean
  readonly admin_api_name?: string
  readonly admin_api_nested_name?: string
  readonly generate_admin_api?: boolean
  readonly subschema_key?: string
  /** Which definitions extend this one, chosen by `subschema_key`. */
  readonly subschemas?: 'plugins' | 'vaults'
  readonly subschema_error?: string
  /** Rows may be given a time to live, in seconds, at insert or update. */
  readonly ttl?: boolean
  readonly db_export?: boolean
  readonly shorthand_fields?: Fields
  readonly checks?: readonly Check[]
  readonly subschemas_by_protocol?: readonly {
    readonly protocols: readonly string[]
    readonly overrides?: Fields
    readonly checks?: readonly Check[]
  }[]
  /** Looked up by key when needed and not loaded whole into every worker (consumers, credentials). */
  readonly on_demand?: boolean
  /** Fields that differ under a router flavor. */
  readonly fields_by_flavor?: { readonly [flavor: string]: Fields }
  /** Values that are stored in another form than given. */
  readonly transformations?: readonly Transformation[]
}

export function defineEntity<F extends Fields>(definition: EntityDefinition<F>): EntityDefinition<F> {
  return definition
}

/** The configuration schema of one plugin; exists for every plugin whose configs validate, built or not. */
export interface PluginSchema<F extends Fields = Fields> {
  readonly name: string
  readonly priority: number
  readonly version: string
  readonly scopes: {
    readonly global: boolean
    readonly service: boolean
    readonly route: boolean
    readonly consumer: boolean
  }
  readonly protocols: { readonly default: readonly string[]; readonly allowed: readonly string[] }
  readonly phases?: readonly string[]
  readonly config: F
  readonly shorthand_fields?: Fields
  /** Checks over the plugin entity; paths start with `config.`. */
  readonly checks?: readonly Check[]
  /** Checks over the config record itself. */
  readonly config_checks?: readonly Check[]
  /** Other rules of the config record, such as `validator`. */
  readonly config_rules?: { readonly [rule: string]: unknown }
  readonly [key: string]: unknown
}

export function definePluginSchema<F extends Fields>(schema: PluginSchema<F>): PluginSchema<F> {
  return schema
}

export type ConfigOf<S> = S extends { config: infer F } ? Static<F> : never
