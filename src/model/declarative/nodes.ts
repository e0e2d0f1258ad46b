/** The entities of a declarative file as a flat list, whether they stand in lists of their own or inside what they belong to. */
import type { Model } from '../contract.ts'
import { MESSAGES } from '../messages.ts'
import { define, isRecord, type Errors, type Values } from '../record.ts'
import { isUuid } from '../rules.ts'
import type { EntityDefinition } from '../schema.ts'
import { isHeadField, isNote, type Head } from './format.ts'
import { modernize, OLD_LISTS } from './old-formats.ts'
import { putError } from './problems.ts'
import type { Path } from './source.ts'

/** One entity of the file. */
export interface Node {
  readonly definition: EntityDefinition
  /** As given, without notes and without what stands inside it. */
  readonly given: Readonly<Values>
  readonly path: Path
  /** Index in its list, from 0. */
  readonly index: number
  readonly parent: { readonly node: Node; readonly field: string } | null
  /** Id of its workspace where the file says one (`ws_id`), or what it stands in; null: that of the file. */
  readonly workspace: string | null
}

/** Entities in the order of the file, parents before what they hold; what is no list or no entity is added to `errors`. */
export function collectNodes(root: Readonly<Values>, head: Head, model: Model, errors: Errors): Node[] {
  const kinds = new Map([...model.entities].filter(([, definition]) => isDeclared(definition)))
  const nestedOf = new Map([...kinds.keys()].map((kind) => [kind, nestedLists(kind, kinds)]))
  const nodes: Node[] = []

  const addList = (kind: string, list: unknown, path: Path, parent: Node['parent'], other?: string): void => {
    if (list === null || list === undefined) return
    const items = isRecord(list) && Object.keys(list).length === 0 ? [] : list
    if (!Array.isArray(items)) return putError(errors, path, MESSAGES.array)
    for (const [index, item] of items.entries()) {
      const entity = entityOf(item, kind, other)
      if (entity === null) putError(errors, [...path, index], MESSAGES.record)
      else addNode(kinds.get(kind)!, entity, [...path, index], index, parent)
    }
  }
  const addNode = (
    definition: EntityDefinition,
    entity: Readonly<Values>,
    path: Path,
    index: number,
    parent: Node['parent'],
  ): void => {
    const lists = nestedOf.get(definition.kind)!
    const given: Values = {}
    const workspace =
      definition.workspaceable === true && isUuid(entity['ws_id']) ? entity['ws_id'].toLowerCase() : null
    for (const [name, value] of Object.entries(entity)) {
      if (!isNote(name) && !lists.has(name) && !(name === 'ws_id' && workspace !== null)) define(given, name, value)
    }
    const shared = definition.subschemas === 'plugins' ? withSharedConfig(given, head) : given
    const modern = modernize(definition.kind, shared, head.version)
    const node: Node = {
      definition,
      given: modern,
      path,
      index,
      parent,
      workspace: workspace ?? parent?.node.workspace ?? null,
    }
    nodes.push(node)
    for (const [name, { kind, field, other }] of lists)
      addList(kind, entity[name], [...path, name], { node, field }, other)
  }

  for (const [name, list] of Object.entries(root)) {
    if (isHeadField(name)) continue
    const kind = kinds.has(name) ? name : head.version === '3.0' ? undefined : OLD_LISTS[name]
    if (kind === undefined) define(errors, name, MESSAGES.unknown)
    else addList(kind, list, [name], null)
  }
  return nodes
}

/** Kinds that a file may hold: those with an id that are configuration. */
export function isDeclared(definition: EntityDefinition): boolean {
  return definition.db_export !== false && definition.fields['id'] !== undefined
}

/** Lists that may stand inside an entity: of every kind that points to it, by the name of that kind. */
function nestedLists(parent: string, kinds: ReadonlyMap<string, EntityDefinition>): Map<string, NestedList> {
  const lists = new Map<string, NestedList>()
  for (const [kind, { fields }] of kinds) {
    for (const [field, { type, reference }] of Object.entries(fields)) {
      if (type === 'foreign' && reference === parent && !lists.has(kind)) lists.set(kind, { kind, field })
    }
  }
  for (const [name, list] of Object.entries(MEMBERS[parent] ?? {})) if (kinds.has(list.kind)) lists.set(name, list)
  return lists
}

interface NestedList {
  readonly kind: string
  /** The field of the inner entity that points to the outer one. */
  readonly field: string
  /** For memberships, the field for what is listed. */
  readonly other?: string
}

/** Memberships have a short form on both sides: the groups of a consumer, the consumers of a group. */
const MEMBERS: Readonly<Record<string, Readonly<Record<string, NestedList>>>> = {
  consumers: { groups: { kind: 'consumer_group_consumers', field: 'consumer', other: 'consumer_group' } },
  consumer_groups: { consumers: { kind: 'consumer_group_consumers', field: 'consumer_group', other: 'consumer' } },
}

/** The entity that a list item stands for; null when it can't stand for one. */
function entityOf(item: unknown, kind: string, other: string | undefined): Readonly<Values> | null {
  if (other !== undefined) return typeof item === 'string' || isRecord(item) ? { [other]: item } : null
  if (isRecord(item)) return item
  // Server names may be listed without their braces.
  return kind === 'snis' && typeof item === 'string' ? { name: item } : null
}

/** `_config: name` takes over what `_plugin_configs` has under that name; the plugin's own fields win. */
function withSharedConfig(given: Readonly<Values>, { pluginConfigs }: Head): Readonly<Values> {
  const { _config: name, ...rest } = given
  if (typeof name !== 'string' || !isRecord(pluginConfigs[name])) return given
  return { ...rest, config: { ...pluginConfigs[name], ...(isRecord(rest['config']) ? rest['config'] : {}) } }
}
