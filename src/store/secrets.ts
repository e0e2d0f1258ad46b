/**
 * Which parts of a document are secret, and what happens to them: sealed on the way into a store, opened on the way out,
 * starred out in logs and diffs. What is secret follows from the definitions alone (`encrypted: true`, at any depth, in entities
 * and in the configs of plugins and vaults). A sealed value stands as `{"$sealed": "..."}`; a `{vault://...}` reference is no secret and stays.
 */
import type { Document } from '#model/document.ts'
import type { EntityDefinition, Field, Fields, PluginSchema } from '#model/schema.ts'
import { isVaultReference } from '#model/vault-reference.ts'
import { canonicalJson } from './canonical.ts'
import type { Keyring } from './keyring.ts'

export interface Definitions {
  readonly entities: ReadonlyMap<string, EntityDefinition>
  readonly plugins: ReadonlyMap<string, PluginSchema>
  /** The `config` of each kind of vault. */
  readonly vaults: ReadonlyMap<string, Field>
}

/** What stands for a secret where people read. */
export const REDACTED = '[redacted]'

export class Secrets {
  readonly #definitions: Definitions
  readonly #keyring: Keyring
  /** Whether a field, or anything below it, may have secrets: most have none and are passed on as they are. */
  readonly #holding = new WeakMap<Field, boolean>()

  constructor(definitions: Definitions, keyring: Keyring) {
    this.#definitions = definitions
    this.#keyring = keyring
  }

  seal(kind: string, document: Document): Document {
    return this.#walk(kind, document, (value, path) =>
      isVaultReference(value)
        ? value
        : { $sealed: this.#keyring.seal(canonicalJson(value), context(kind, document.id, path)) },
    )
  }

  /**
   * Values that were stored before their field became a secret come back as they are, and so do documents of kinds that are no
   * longer defined (a plugin that was taken out): the log still has them, and following it must go on.
   */
  open(kind: string, document: Document): Document {
    if (!this.#definitions.entities.has(kind)) return document
    return this.#walk(kind, document, (value, path) => {
      const sealed = sealedText(value)
      return sealed === undefined ? value : JSON.parse(this.#keyring.open(sealed, context(kind, document.id, path)))
    })
  }

  /** Takes sealed and open documents. Of a kind that is not defined nobody knows what is secret: only the id is left. */
  redact(kind: string, document: Document): Document {
    if (!this.#definitions.entities.has(kind)) return { id: document.id }
    return this.#walk(kind, document, (value) => (isVaultReference(value) ? value : REDACTED))
  }

  /** What stands in look-up rows for the value of a secret field. */
  lookupKey(kind: string, field: string, value: unknown): string {
    return this.#keyring.lookupKey(canonicalJson(value), `${kind}\0${field}`)
  }

  #walk(kind: string, document: Document, change: Change): Document {
    const definition = this.#definitions.entities.get(kind)
    if (!definition) throw new TypeError(`expected a kind that is defined, got ${JSON.stringify(kind)}`)
    const name = definition.subschema_key === undefined ? undefined : document[definition.subschema_key]
    const config = typeof name === 'string' ? this.#configOf(definition, name) : undefined
    return this.#record(definition.fields, document, '', change, config) as Document
  }

  /** What the abstract field holds in entities of this name. */
  #configOf({ subschemas }: EntityDefinition, name: string): Fields | undefined {
    const { plugins, vaults } = this.#definitions
    return subschemas === 'vaults' ? vaults.get(name)?.fields : plugins.get(name)?.config
  }

  #record(fields: Fields, record: JsonObject, path: string, change: Change, abstract: Fields = {}): JsonObject {
    let changed: Record<string, unknown> | undefined
    for (const name in fields) {
      const field = fields[name] as Field
      const value = record[name]
      if (value === null || value === undefined || !this.#fieldHolds(field)) continue
      const at = path === '' ? name : `${path}.${name}`
      changed ??= { ...record }
      changed[name] =
        field.abstract && isObject(value)
          ? this.#record(abstract, value, at, change)
          : this.#value(field, value, at, change)
    }
    return changed ?? record
  }

  #value(field: Field, value: unknown, path: string, change: Change): unknown {
    if (value === null || value === undefined || !this.#fieldHolds(field)) return value
    if (field.encrypted) return change(value, path)
    if (field.fields && isObject(value)) return this.#record(field.fields, value, path, change)
    const { elements, values } = field
    if (elements && Array.isArray(value)) {
      return value.map((element, index) => this.#value(elements, element, `${path}.${index}`, change))
    }
    if (values && isObject(value)) {
      const members = Object.entries(value).map(([key, member]) => [
        key,
        this.#value(values, member, `${path}.${key}`, change),
      ])
      return Object.fromEntries(members)
    }
    return value
  }

  #holds(fields: Fields): boolean {
    return Object.values(fields).some((field) => this.#fieldHolds(field))
  }

  #fieldHolds(field: Field): boolean {
    let holds = this.#holding.get(field)
    if (holds === undefined) {
      holds =
        field.encrypted === true ||
        field.abstract === true ||
        (field.fields !== undefined && this.#holds(field.fields)) ||
        (field.elements !== undefined && this.#fieldHolds(field.elements)) ||
        (field.values !== undefined && this.#fieldHolds(field.values))
      this.#holding.set(field, holds)
    }
    return holds
  }
}

type JsonObject = Readonly<Record<string, unknown>>
type Change = (value: unknown, path: string) => unknown

/** What a sealed value belongs to: moved to another entity or field it does not open. */
function context(kind: string, id: string, path: string): string {
  return `${kind}\0${id}\0${path}`
}

function sealedText(value: unknown): string | undefined {
  return isObject(value) && typeof value.$sealed === 'string' ? value.$sealed : undefined
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
