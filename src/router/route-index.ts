/**
 * The tables of a router: by host, then by path prefix, then the entries in their order. Tables are immutable; a change makes new ones
 * that share with the old ones whatever it does not touch.
 *
 * A regex path stands under the text that it certainly begins with, a route without paths under the empty one. So the paths that can
 * match a request are those on one way down a tree.
 */
import { BucketMap } from '#core/bucket-map.ts'
import type { CompiledRoute, Entry } from './entry.ts'
import { hostKeysOf } from './compile-route.ts'
import { reversed, type HostKey } from './host-key.ts'
import { changeLeaf, type Leaf, type LeafChange } from './leaf.ts'
import { TreeEdit, changeTree, getFromTree, type TreeNode } from './prefix-tree.ts'

export type PathTree = TreeNode<Leaf>
/** Path trees by the end (reversed) or the start of hosts. */
export type WildcardTree = TreeNode<PathTree>

export interface Tables {
  readonly any: PathTree | null
  readonly exact: BucketMap<PathTree>
  readonly suffix: WildcardTree | null
  readonly prefix: WildcardTree | null
}

export const NO_TABLES: Tables = { any: null, exact: new BucketMap(), suffix: null, prefix: null }

/** What a change made anew; everything else is shared with the router before it. */
export interface TableStats {
  /** Path trees of which some node was made anew. */
  readonly trees: number
  readonly nodes: number
  /** Lists of entries. */
  readonly leaves: number
}

export function changeTables(
  tables: Tables,
  removed: Iterable<CompiledRoute>,
  added: Iterable<CompiledRoute>,
): { readonly tables: Tables; readonly stats: TableStats } {
  const changes = new ChangeSet()
  for (const compiled of removed) changes.note(compiled, (leaf) => (leaf.removed ??= new Set()).add(compiled))
  for (const compiled of added) changes.note(compiled, (leaf, entry) => leaf.added.push(entry))
  return changes.apply(tables)
}

type LeafChanges = Map<string, LeafChange>

/** A batch of changes by table, host and path, so that each tree and list is made anew once. */
class ChangeSet {
  readonly #edit = new TreeEdit()
  readonly #byTable: Record<HostKey['table'], Map<string, LeafChanges>> = {
    any: new Map(),
    exact: new Map(),
    suffix: new Map(),
    prefix: new Map(),
  }
  #leaves = 0

  note(compiled: CompiledRoute, change: (leaf: LeafChange, entry: Entry) => void): void {
    for (const key of hostKeysOf(compiled.route))
      for (const entry of compiled.entries)
        if (entry.port === key.port) change(this.#leafChange(key, entry.literal), entry)
  }

  apply(tables: Tables): { tables: Tables; stats: TableStats } {
    const { any, exact, suffix, prefix } = this.#byTable
    const trees = any.size + exact.size + suffix.size + prefix.size
    const anyChanges = any.get('')
    const after: Tables = {
      any: anyChanges === undefined ? tables.any : this.#changePaths(tables.any, anyChanges),
      exact:
        exact.size === 0
          ? tables.exact
          : tables.exact.with(
              [...exact].map(([name, changes]) => [
                name,
                this.#changePaths(tables.exact.get(name) ?? null, changes) ?? undefined,
              ]),
            ),
      suffix: this.#changeWildcards(tables.suffix, suffix),
      prefix: this.#changeWildcards(tables.prefix, prefix),
    }
    this.#edit.close()
    return { tables: after, stats: { trees, nodes: this.#edit.nodesMade, leaves: this.#leaves } }
  }

  #leafChange(key: HostKey, literal: string): LeafChange {
    const table = this.#byTable[key.table]
    const name = key.table === 'suffix' ? reversed(key.name) : key.name
    let leaves = table.get(name)
    if (leaves === undefined) table.set(name, (leaves = new Map()))
    let change = leaves.get(literal)
    if (change === undefined) leaves.set(literal, (change = { added: [], removed: null }))
    return change
  }

  #changeWildcards(tree: WildcardTree | null, byName: ReadonlyMap<string, LeafChanges>): WildcardTree | null {
    let after = tree
    for (const [name, changes] of byName)
      after = changeTree(after, name, this.#changePaths(getFromTree(after, name), changes), this.#edit)
    return after
  }

  #changePaths(tree: PathTree | null, changes: LeafChanges): PathTree | null {
    let after = tree
    for (const [literal, change] of changes) {
      this.#leaves++
      after = changeTree(after, literal, changeLeaf(getFromTree(after, literal), change), this.#edit)
    }
    return after
  }
}
