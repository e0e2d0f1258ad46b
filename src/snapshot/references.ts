/**
 * Follows `{vault://...}` references on the way to workers: only there the secret stands in place of the reference. Store, Admin
 * API and dumps keep the reference. There are the vaults `env` and `file`, and vault entities with a configuration of their own.
 * The environment is read when it is asked for; what stands elsewhere has to be read before (`read`), and may change at any time.
 */
import type { Change, Document } from '#model/document.ts'
import type { Field, Fields } from '#model/field.ts'
import {
  isVaultReference,
  parseVaultReference,
  readVariable,
  takeMember,
  type Followed,
  type VaultReference,
} from '#model/vault-reference.ts'
import type { SecretAddress, SecretCache } from '#vaults/secret-cache.ts'

export interface ReferenceOptions {
  /** The fields of a document, with those of its plugin's configuration. */
  readonly fieldsOf: (kind: string, document: Document) => Fields
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The variable with the keyring, if there is one: who may write a configuration must not read by it what seals the store. */
  readonly withheld?: string | null
  readonly log: { warn(fields: object, message: string): void }
  /** What stands elsewhere than in the environment. */
  readonly secrets: SecretCache
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

  /** Whether the change holds a reference where there can be one. */
  concerns(change: Change): boolean {
    return !this.#textsOf(change).next().done
  }

  /** The references in a change. Asked of every entity at a start: most kinds have no field for one. */
  *#textsOf({ kind, document }: Change): Generator<string, void, undefined> {
    if (document !== null && mayRefer(this.#options.fieldsOf(kind, document))) yield* textsIn(document)
  }

  /** The change as workers get it; the very same when nothing in it is a reference. One that can't be followed becomes '', as in Kong. */
  resolve(change: Change): Change {
    const { kind, id, document } = change
    if (document === null || !this.concerns(change)) return change
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

  /** Which resources of vaults other than the environment these documents refer to, by their keys in the cache. */
  addressesIn(changes: readonly Change[]): Map<string, SecretAddress> {
    const addresses = new Map<string, SecretAddress>()
    for (const change of changes) {
      for (const text of this.#textsOf(change)) {
        const found = this.#find(text)
        if (found !== null && 'address' in found) addresses.set(keyOf(found.address), found.address)
      }
    }
    return addresses
  }

  /** Reads what `changes` refer to and nobody has read yet; null when there is nothing to wait for. */
  read(changes: readonly Change[]): Promise<void> | null {
    const addresses = this.addressesIn(changes)
    for (const key of addresses.keys())
      if (!this.#options.secrets.has(key)) return this.#options.secrets.read(addresses)
    return null
  }

  /** The same for all that there is: forgets what nothing refers to any more. */
  async readWhole(changes: readonly Change[]): Promise<void> {
    const addresses = this.addressesIn(changes)
    await this.#options.secrets.read(addresses)
    this.#options.secrets.keepOnly(addresses)
  }

  #follow(text: string): Followed {
    const found = this.#find(text)
    if (found === null) return { reason: 'expected {vault://name/resource}' }
    if ('reason' in found) return found
    const { reference, config } = found
    if ('address' in found) {
      const fetched = this.#options.secrets.get(keyOf(found.address))
      if (fetched === null) return { reason: 'it was not read yet' }
      return 'reason' in fetched ? fetched : takeMember(fetched.value, reference.key)
    }
    const { environment, withheld } = this.#options
    return readVariable(reference, typeof config['prefix'] === 'string' ? config['prefix'] : '', environment, withheld)
  }

  /** What a reference means: a variable, or an address elsewhere; null for a text that is no reference. */
  #find(text: string): Found | null {
    const reference = parseVaultReference(text)
    if (reference === null) return null
    const vault = this.#vaults.get(reference.vault)
    if (vault === undefined && !BUILT_IN.has(reference.vault)) return { reason: 'there is no vault of that prefix' }
    const kind = vault === undefined ? reference.vault : (vault['name'] as string)
    const config = { ...(vault?.['config'] as object | undefined), ...Object.fromEntries(reference.config) }
    if (kind === ENVIRONMENT) return { reference, config }
    const { resource, version } = reference
    return { reference, config, address: { kind, config, resource, version } }
  }
}

const ENVIRONMENT = 'env'
/** Vaults that need no entity. */
const BUILT_IN: ReadonlySet<string> = new Set([ENVIRONMENT, 'file'])

type Found =
  | { readonly reason: string }
  | { readonly reference: VaultReference; readonly config: JsonObject; readonly address?: SecretAddress }

function keyOf(address: SecretAddress): string {
  return JSON.stringify(address)
}

const REFERENCEABLE = new WeakMap<Fields, boolean>()

function mayRefer(fields: Fields): boolean {
  let may = REFERENCEABLE.get(fields)
  if (may === undefined) REFERENCEABLE.set(fields, (may = Object.values(fields).some(fieldMayRefer)))
  return may
}

function fieldMayRefer({ referenceable, fields, elements, values }: Field): boolean {
  return (
    referenceable === true ||
    (fields !== undefined && mayRefer(fields)) ||
    (elements !== undefined && fieldMayRefer(elements)) ||
    (values !== undefined && fieldMayRefer(values))
  )
}

/** The references in a value, at any depth, wherever they stand. */
function* textsIn(value: unknown): Generator<string, void, undefined> {
  if (typeof value === 'string') {
    if (isVaultReference(value)) yield value
  } else if (Array.isArray(value)) for (const element of value) yield* textsIn(element)
  else if (isObject(value)) for (const member of Object.values(value)) yield* textsIn(member)
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
