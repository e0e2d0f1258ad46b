/**
 * The names by which stored responses are dropped together. A response belongs to its key, its tags, its address, and to every prefix
 * of its path in whole segments, for its own host and for any.
 */

/** Segments of a path by which responses can be dropped: below that they go with what is above. */
export const PREFIX_SEGMENTS = 8
export const EVERYTHING = '*'
/** What is shared with other nodes. */
export const SHARED_NAME = 'shared'

/** `key` as X-Cache-Key says it. */
export function keyName(key: string): string {
  return 'key:' + key
}

export function tagName(tag: string): string {
  return 'tag:' + tag
}

/** `address` without a fragment: scheme, host, port, path, query. */
export function addressName(address: string): string {
  return ADDRESS + address
}

/** Everything whose path is `path` or goes on with a slash after it; `host` null for any. */
export function prefixName(host: string | null, path: string): string {
  return 'prefix:' + (host?.toLowerCase() ?? '*') + (path.endsWith('/') ? path.slice(0, -1) : path)
}

/** The names with those that follow from an address among them. */
export function withPrefixes(names: readonly string[]): string[] {
  const all = [...names]
  for (const name of names) if (name.startsWith(ADDRESS)) addPrefixes(all, name)
  return all
}

const ADDRESS = 'address:'

function addPrefixes(all: string[], name: string): void {
  const hostAt = name.indexOf('//') + 2
  const pathAt = name.indexOf('/', hostAt)
  if (hostAt < 2 || pathAt < 0) return
  const portAt = name.lastIndexOf(':', pathAt)
  const host = name.slice(hostAt, portAt < hostAt ? pathAt : portAt)
  const queryAt = name.indexOf('?', pathAt)
  const path = queryAt < 0 ? name.slice(pathAt) : name.slice(pathAt, queryAt)
  let end = 0
  for (let segments = 0; segments <= PREFIX_SEGMENTS; segments++) {
    const prefix = path.slice(0, end)
    all.push(prefixName(null, prefix), prefixName(host, prefix))
    if (end >= path.length - 1) return
    const next = path.indexOf('/', end + 1)
    end = next < 0 ? path.length : next
  }
}

/** The kind of rows that say what was purged at which revision. */
export const PURGES = 'proxy_cache_purges'
/** Writes that are committed together are one revision, of which a row keeps the last only: so it keeps what came shortly before, too. */
const TOGETHER_S = 30
const MOST_TOGETHER = 50

/** The names that a row keeps when it is written again. Over so many names everything is purged in their place. */
export function addPurge(row: Readonly<Record<string, unknown>> | undefined, purgedAt: number): readonly string[] {
  if (row === undefined || Number(row['purged_at']) < purgedAt - TOGETHER_S) return []
  const names = row['names'] as readonly string[]
  return names.length < MOST_TOGETHER ? names : [EVERYTHING]
}
