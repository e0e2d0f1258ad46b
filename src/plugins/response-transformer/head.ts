/** Changes to the headers of a response. */
import type { HeaderList } from '#pdk'
import { splitPair } from '#pdk/name-value.ts'
import { headerValue } from '#pdk/wire-text.ts'

interface Pair {
  readonly name: string
  /** As it goes out; of a renaming the new name. */
  readonly value: string
}

export interface HeaderTexts {
  readonly remove: readonly string[]
  readonly rename: readonly string[]
  readonly replace: readonly string[]
  readonly add: readonly string[]
  readonly append: readonly string[]
}

export interface HeaderOperations {
  readonly remove: readonly string[]
  readonly rename: readonly Pair[]
  readonly replace: readonly Pair[]
  readonly add: readonly Pair[]
  readonly append: readonly Pair[]
  /** Whether one operation looks at a name that another one changes. */
  readonly overlaps: boolean
}

/** Null when nothing is configured. */
export function compileHeaders(texts: HeaderTexts): HeaderOperations | null {
  const pairs = (list: readonly string[]) => list.map(compilePair).filter(({ value }) => value !== '')
  // As in Kong, a value behind the name of a header to be removed has no effect.
  const remove = texts.remove.map((text) => splitPair(text).name)
  const [rename, replace, add, append] = [texts.rename, texts.replace, texts.add, texts.append].map(pairs) as [
    Pair[],
    Pair[],
    Pair[],
    Pair[],
  ]
  if (remove.length + rename.length + replace.length + add.length + append.length === 0) return null
  const touched = [
    ...remove,
    ...rename.flatMap(({ name, value }) => [name, value]),
    ...[...replace, ...add].map(({ name }) => name),
  ]
  const overlaps = new Set(touched.map((name) => name.toLowerCase())).size < touched.length
  return { remove, rename, replace, add, append, overlaps }
}

/**
 * Every operation looks at the headers as the upstream sent them, as in Kong: what was removed is there for `replace`, and not
 * absent for `add`.
 */
export function transformHeaders(headers: HeaderList, operations: HeaderOperations): void {
  const received = operations.overlaps ? headers.clone() : headers
  for (const name of operations.remove) headers.remove(name)
  for (const { name, value } of operations.rename) {
    const values = received.getAll(name)
    if (values.length === 0) continue
    headers.remove(name)
    headers.remove(value)
    for (const one of values) headers.append(value, one)
  }
  for (const { name, value } of operations.replace) if (received.has(name)) headers.set(name, value)
  for (const { name, value } of operations.add) if (!received.has(name)) headers.set(name, value)
  for (const { name, value } of operations.append) headers.append(name, value)
}

function compilePair(text: string): Pair {
  const { name, value } = splitPair(text)
  return { name: name.trim(), value: headerValue(value.trim()) }
}
