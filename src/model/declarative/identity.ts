/**
 * Which entity each one of a file is, and which ones it points to. References are by id or by name, to entities of the same file.
 * Entities without an id get one that follows from their name, or from what they are, so that the same file makes the same ids.
 */
import { nameBasedUuid } from '#core/name-based-uuid.ts'
import { DEFAULT_WORKSPACE } from '../document.ts'
import { shown } from '../messages.ts'
import { isRecord, own, type Errors } from '../record.ts'
import { isUuid } from '../rules.ts'
import type { EntityDefinition } from '../schema.ts'
import { putError } from './problems.ts'
import type { Node } from './nodes.ts'
import type { Path } from './source.ts'

export interface Identity {
  readonly id: string
  /** By field, the id that a reference means; fields whose reference leads nowhere are not in it. */
  readonly references: ReadonlyMap<string, string>
}

export interface Identities {
  readonly of: ReadonlyMap<Node, Identity>
  /** Entities that have the id or the name of an earlier one. */
  readonly duplicates: Errors
  /** References that lead nowhere: by kind and entity, as Kong tells them. */
  readonly dangling: Errors
  /** The same, with their places. */
  readonly problems: readonly { readonly path: Path; readonly message: string }[]
}

/** Kinds in an order in which each one stands after those that it points to. */
export function inReferenceOrder(entities: ReadonlyMap<string, EntityDefinition>): EntityDefinition[] {
  const ordered = new Set<EntityDefinition>()
  const visit = (definition: EntityDefinition): void => {
    if (ordered.has(definition)) return
    for (const { type, reference } of Object.values(definition.fields)) {
      const target = type === 'foreign' && reference !== definition.kind ? entities.get(reference!) : undefined
      if (target !== undefined) visit(target)
    }
    ordered.add(definition)
  }
  for (const definition of entities.values()) visit(definition)
  return [...ordered]
}

/** `workspace`: name of the one that all are in, null for the default one; entities of one name in two workspaces are two. */
export function identify(
  nodes: readonly Node[],
  entities: ReadonlyMap<string, EntityDefinition>,
  workspace: string | null,
): Identities {
  const of = new Map<Node, Identity>()
  const byKey = new Map<string, Map<string, Node>>()
  const byId = new Map<string, Map<string, Node>>()
  const duplicates: Errors = {}
  const dangling: Errors = {}
  const problems: { path: Path; message: string }[] = []
  const names = new NameGiver(workspace)
  const nodesOf = Map.groupBy(nodes, ({ definition }) => definition)

  const duplicate = (node: Node, field: string, value: string): void => {
    const { kind } = node.definition
    const message = `uniqueness violation: '${kind}' entity with ${field} set to '${value}' already declared`
    putError(duplicates, [kind, node.index], message)
    problems.push({ path: node.path, message })
  }
  const missing = (node: Node, field: string, reference: string, kind: string): void => {
    const message = `invalid reference '${field}: ${reference}' (no such entry in '${kind}')`
    const entity = keyOf(node) ?? givenId(node) ?? node.index
    const path = [node.definition.kind, entity]
    const earlier = own((own(dangling, node.definition.kind) ?? {}) as Errors, String(entity))
    putError(dangling, path, [...(Array.isArray(earlier) ? earlier : []), message])
    problems.push({ path: [...node.path, field], message })
  }
  const find = (kind: string, reference: string, node: Node): Node | undefined =>
    byKey.get(kind)?.get(scoped(entities.get(kind)!, reference, node)) ?? byId.get(kind)?.get(reference.toLowerCase())

  for (const definition of inReferenceOrder(entities)) {
    const { kind } = definition
    const keys = new Map<string, Node>()
    const ids = new Map<string, Node>()
    byKey.set(kind, keys)
    byId.set(kind, ids)
    const isKeyUnique = own(definition.fields, definition.endpoint_key ?? '')?.unique === true
    for (const node of nodesOf.get(definition) ?? []) {
      const references = new Map<string, string>()
      for (const [field, reference] of referencesOf(node)) {
        const target =
          typeof reference === 'string' ? find(definition.fields[field]!.reference!, reference, node) : reference
        if (target === undefined) missing(node, field, reference as string, definition.fields[field]!.reference!)
        else references.set(field, of.get(target)!.id)
      }
      const key = keyOf(node)
      const place = key === null ? null : scoped(definition, key, node)
      if (place !== null && isKeyUnique && keys.has(place)) duplicate(node, definition.endpoint_key!, key!)
      const id = givenId(node) ?? names.idOf(node, key, references)
      if (ids.has(id)) duplicate(node, 'primary key', id)
      if (place !== null && !keys.has(place)) keys.set(place, node)
      ids.set(id, node)
      of.set(node, { id, references })
    }
  }
  return { of, duplicates, dangling, problems }
}

/** Each foreign field with what it names: the entity around this one, or a text. Of other forms validation speaks. */
function* referencesOf({ definition, given, parent }: Node): Generator<[field: string, reference: Node | string]> {
  for (const [field, { type, reference: kind }] of Object.entries(definition.fields)) {
    if (type !== 'foreign') continue
    if (parent?.field === field) yield [field, parent.node]
    else {
      const reference = referenceText(given[field])
      // The default workspace exists without being declared.
      if (reference !== null && !(kind === 'workspaces' && reference === DEFAULT_WORKSPACE)) yield [field, reference]
    }
  }
}

/** Names hold within a workspace, unless their kind is in none or they are unique across all. */
function scoped(
  { workspaceable, fields, endpoint_key: key }: EntityDefinition,
  name: string,
  { workspace }: Node,
): string {
  const isScoped = workspaceable === true && workspace !== null && own(fields, key ?? '')?.unique_across_ws !== true
  return isScoped ? `${workspace} ${name}` : name
}

/** `name`, `{ id }`, or an object with any other key of the entity. */
export function referenceText(value: unknown): string | null {
  if (typeof value === 'string') return value === '' ? null : value
  if (!isRecord(value)) return null
  const named = value['id'] ?? Object.values(value).find((item) => typeof item === 'string')
  return typeof named === 'string' ? named : null
}

function keyOf({ definition, given }: Node): string | null {
  const key = own(given, definition.endpoint_key ?? '')
  return typeof key === 'string' && key !== '' ? key : null
}

function givenId({ given }: Node): string | null {
  return isUuid(given['id']) ? given['id'].toLowerCase() : null
}

/** Name space of the ids that are made from names; fixed for ever, or every id would change. */
const NAMESPACE = '2f0d5c1e-0f8e-5b5c-9c1f-6d1a53b1e7a4'

class NameGiver {
  readonly #seen = new Map<string, number>()
  readonly #workspace: string | null

  constructor(workspace: string | null) {
    this.#workspace = workspace
  }

  /** Names what makes the entity the one that it is; secrets are no part of it, because ids are shown. */
  idOf(node: Node, key: string | null, references: ReadonlyMap<string, string>): string {
    const { definition, given } = node
    const { kind, fields, endpoint_key: endpointKey, cache_key: cacheKey } = definition
    const workspace = definition.workspaceable === true ? (node.workspace ?? this.#workspace) : null
    if (key !== null && fields[endpointKey!]!.encrypted !== true) {
      const owners =
        fields[endpointKey!]!.unique === true
          ? []
          : Object.entries(fields).filter(([, { on_delete: onDelete }]) => onDelete === 'cascade')
      return this.#name(workspace, [kind, key, ...owners.map(([field]) => references.get(field) ?? '')])
    }
    if (cacheKey !== undefined && cacheKey.length > 1 && cacheKey.every((field) => fields[field]!.encrypted !== true)) {
      return this.#name(workspace, [
        kind,
        ...cacheKey.map(
          (field) => references.get(field) ?? shown(fields[field]!.type === 'foreign' ? null : (given[field] ?? null)),
        ),
      ])
    }
    const content = Object.keys(given)
      .filter((name) => own(fields, name)?.encrypted !== true && own(fields, name)?.type !== 'foreign')
      .toSorted()
      .map((name) => [name, given[name]])
    return this.#name(workspace, [kind, ...references.values(), JSON.stringify(content)])
  }

  /** What is named a second time counts up. */
  #name(workspace: string | null, parts: readonly string[]): string {
    const name = JSON.stringify(workspace === null ? parts : [workspace, ...parts])
    const count = this.#seen.get(name) ?? 0
    this.#seen.set(name, count + 1)
    return nameBasedUuid(NAMESPACE, count === 0 ? name : `${name}#${count}`)
  }
}
