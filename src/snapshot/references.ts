/**
 * Follows `{vault://...}` references on the way to workers: only there the secret stands in place of the reference. Store, Admin
 * API and dumps keep the reference. There is the vault `env`, and vault entities over it with a prefix of their own.
 */
import type { Change, Document } from '#model/document.ts'
import type { Field, Fields } from '#model/field.ts'
import { isVaultReference, parseVaultReference, readVariable, type Followed } from '#model/vault-reference.ts'

export interface ReferenceOptions {
  /** The fields of a document, with those of its plugin's configuration. */
  readonly fieldsOf: (kind: string, document: Document) => Fields
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The variable with the keyring, if there is one: who may write a configuration must not read by it what seals the store. */
  readonly withheld?: string | null
  readonly log: { warn(fields: object, message: string): void }
}

/** Failures that are remembered, so that each is logged once; more than these are logged again. */
const FAILURES_MAX = 10_000

type JsonObject = Readonly<Record<string, unknown>>

export class References {
  readonly #options: ReferenceOptions
  /** Vault entities by prefix. */
  #vaults: ReadonlyMap<string, Document> = new Map()
  readonly #failed = new Set<string>()

  constructor(options: ReferenceOptions) {
    this.#options = options
  }

  setVaults(documents: readonly Document[]): void {
    this.#vaults = new Map(documents.map((document) => [document['prefix'] as string, document]))
  }

  /** The change as workers get it; the very same when nothing in it is a reference. One that can't be followed becomes '', as in Kong. */
  resolve(change: Change): Change {
    const { kind, id, document } = change
    if (document === null || !holdsReference(document)) return change
    const follow = (reference: string): string => {
      const followed = this.#follow(reference)
      if ('value' in followed) {
        this.#failed.delete(reference)
        return followed.value
      }
      if (!this.#failed.has(reference)) {
        if (this.#failed.size >= FAILURES_MAX) this.#failed.clear()
        this.#failed.add(reference)
        this.#options.log.warn({ kind, id, reference, reason: followed.reason }, 'a vault reference leads nowhere')
      }
      return ''
    }
    const resolved = replaceIn(this.#options.fieldsOf(kind, document), document, follow) as Document
    return { ...change, document: resolved }
  }

  #follow(text: string): Followed {
    const reference = parseVaultReference(text)
    if (reference === null) return { reason: 'expected {vault://name/resource}' }
    const vault = this.#vaults.get(reference.vault)
    if (vault === undefined && reference.vault !== 'env') return { reason: 'there is no vault of that prefix' }
    const config = (vault?.['config'] ?? {}) as { readonly prefix?: string | null }
    const { environment, withheld } = this.#options
    return readVariable(reference, config.prefix ?? '', environment, withheld)
  }
}

function holdsReference(value: unknown): boolean {
  if (typeof value === 'string') return isVaultReference(value)
  if (Array.isArray(value)) return value.some(holdsReference)
  return isObject(value) && Object.values(value).some(holdsReference)
}

/** The record with the references in its `referenceable` fields replaced: elsewhere such a text is nothing but a text. */
function replaceIn(fields: Fields, record: JsonObject, follow: (reference: string) => string): JsonObject {
  const replaced: Record<string, unknown> = { ...record }
  for (const [name, field] of Object.entries(fields))
    if (Object.hasOwn(record, name)) replaced[name] = replaceValue(field, record[name], follow)
  return replaced
}

function replaceValue(field: Field, value: unknown, follow: (reference: string) => string): unknown {
  if (isVaultReference(value)) return field.referenceable === true ? follow(value) : value
  const { fields, elements, values } = field
  if (Array.isArray(value))
    return elements === undefined ? value : value.map((element) => replaceValue(elements, element, follow))
  if (!isObject(value)) return value
  if (fields !== undefined) return replaceIn(fields, value, follow)
  if (values === undefined) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, replaceValue(values, member, follow)]))
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
