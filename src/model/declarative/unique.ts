/** Uniqueness among the documents of one file, beyond names and ids: other unique fields, and fields that are unique together. */
import { shown } from '../messages.ts'
import { isRecord } from '../record.ts'
import type { EntityDefinition } from '../schema.ts'
import type { Node } from './nodes.ts'
import type { Document } from '../document.ts'

export interface Clash {
  readonly node: Node
  readonly message: string
}

/** The documents that have what an earlier one has. Nodes that clash by name or id already need not be given. */
export function findClashes(documents: ReadonlyMap<Node, Document>): Clash[] {
  const clashes: Clash[] = []
  const seen = new Map<string, Node>()
  for (const [node, document] of documents) {
    for (const fields of uniqueSets(node.definition)) {
      const values = fields.map((field) => document[field] ?? null)
      if (fields.length === 1 && values[0] === null) continue
      const isGlobal = fields.length === 1 && node.definition.fields[fields[0]!]!.unique_across_ws === true
      const key = JSON.stringify([isGlobal ? null : node.workspace, node.definition.kind, fields, values])
      if (!seen.has(key)) seen.set(key, node)
      else clashes.push({ node, message: message(node.definition, fields, values) })
    }
  }
  return clashes
}

function uniqueSets({ fields, cache_key: cacheKey }: EntityDefinition): (readonly string[])[] {
  const single = Object.keys(fields).filter((name) => fields[name]!.unique === true)
  return [...single.map((name) => [name]), ...(cacheKey !== undefined && cacheKey.length > 1 ? [cacheKey] : [])]
}

function message({ kind, fields }: EntityDefinition, names: readonly string[], values: readonly unknown[]): string {
  const set = names.flatMap((name, index) => {
    const value = values[index]
    if (value === null && fields[name]!.hidden_unless_set === true) return []
    return [`${name} set to '${isRecord(value) ? shown(value['id']) : shown(value)}'`]
  })
  return `uniqueness violation: '${kind}' entity with ${set.join(', ')} already declared`
}
