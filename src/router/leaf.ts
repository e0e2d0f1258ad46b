/** The entries of one host and path, best first; many of them are found by a header, query argument or server name that they ask for. */
import { BucketMap } from '#core/bucket-map.ts'
import { HeaderCondition, QueryCondition, SniCondition, type Condition } from './conditions.ts'
import type { RoutableRequest } from './contract.ts'
import { compareEntries, type CompiledRoute, type Entry } from './entry.ts'
import { queryValues } from './query.ts'

/** Up to this number looking at each entry costs less than looking for keys. */
const MAX_SCANNED = 32

/** One entry, which most paths have, stands for itself: a list around it would be three more places in memory to look at. */
export type Leaf = Entry | EntryList

export class EntryList {
  readonly isList = true
  /** Two or more, sorted, best first. */
  readonly entries: readonly Entry[]
  /** The same entries by what they ask for, when there are many. */
  readonly keyed: KeyedEntries | null

  constructor(entries: readonly Entry[], keyed: KeyedEntries | null) {
    this.entries = entries
    this.keyed = keyed
  }
}

/** What one batch of changes does to a leaf. */
export interface LeafChange {
  readonly added: Entry[]
  /** Routes that lose all their entries; null, because most changes remove nothing and building makes many. */
  removed: Set<CompiledRoute> | null
}

/** The leaf after the change, null when nothing is left. */
export function changeLeaf(leaf: Leaf | null, { added, removed }: LeafChange): Leaf | null {
  const before = leaf === null ? [] : leaf.isList ? leaf.entries : [leaf]
  const kept = removed === null ? before.slice() : before.filter((entry) => !removed.has(entry.owner))
  for (const entry of added.length > MAX_SCANNED ? [] : added) kept.splice(placeOf(kept, entry), 0, entry)
  const entries = added.length > MAX_SCANNED ? [...kept, ...added].sort(compareEntries) : kept
  if (entries.length < 2) return entries[0] ?? null
  if (entries.length <= MAX_SCANNED) return new EntryList(entries, null)
  const keyed = leaf?.isList === true ? leaf.keyed : null
  if (keyed === null) return new EntryList(entries, KeyedEntries.none.with([], entries))
  const gone = removed === null ? [] : before.filter((entry) => removed.has(entry.owner))
  return new EntryList(entries, keyed.with(gone, added))
}

/** The better of `best` and the best entry of the leaf that the request satisfies. */
export function searchLeaf(
  leaf: Leaf,
  request: RoutableRequest,
  methodBit: number,
  port: number,
  best: Entry | null,
): Entry | null {
  if (!leaf.isList)
    return (best === null || isBetter(leaf, best)) && satisfies(request, methodBit, port, leaf) ? leaf : best
  if (leaf.keyed !== null) return leaf.keyed.search(request, methodBit, port, best)
  return searchEntries(leaf.entries, request, methodBit, port, best)
}

function searchEntries(
  entries: readonly Entry[],
  request: RoutableRequest,
  methodBit: number,
  port: number,
  best: Entry | null,
): Entry | null {
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!
    if (best !== null && !isBetter(entry, best)) return best
    if (satisfies(request, methodBit, port, entry)) return entry
  }
  return best
}

function isBetter(entry: Entry, best: Entry): boolean {
  return entry.high === best.high ? compareEntries(entry, best) < 0 : entry.high > best.high
}

function satisfies(request: RoutableRequest, methodBit: number, port: number, entry: Entry): boolean {
  if (entry.methods !== 0 && (entry.methods & methodBit) === 0) return false
  if (entry.port !== 0 && entry.port !== port) return false
  if (entry.regex !== null && !entry.regex.test(request.path)) return false
  return entry.conditions === null || conditionsHold(entry.conditions, request)
}

function conditionsHold(conditions: readonly Condition[], request: RoutableRequest): boolean {
  for (const condition of conditions) if (!condition.holds(request)) return false
  return true
}

/** Entries by one value that the request must have; those that name no such value are in `rest`. All lists are sorted. */
class KeyedEntries {
  static readonly none = new KeyedEntries([], [], new BucketMap(), new Map(), new Map())

  readonly #rest: readonly Entry[]
  /** Those that ask for a server name, for requests without TLS, which satisfy all of them. */
  readonly #bySni: readonly Entry[]
  readonly #byKey: BucketMap<readonly Entry[]>
  /** How many entries are keyed by a header, by its name; the same for query arguments. */
  readonly #headerNames: ReadonlyMap<string, number>
  readonly #queryNames: ReadonlyMap<string, number>

  private constructor(
    rest: readonly Entry[],
    bySni: readonly Entry[],
    byKey: BucketMap<readonly Entry[]>,
    headerNames: ReadonlyMap<string, number>,
    queryNames: ReadonlyMap<string, number>,
  ) {
    this.#rest = rest
    this.#bySni = bySni
    this.#byKey = byKey
    this.#headerNames = headerNames
    this.#queryNames = queryNames
  }

  with(removed: readonly Entry[], added: readonly Entry[]): KeyedEntries {
    const rest: EntryChange = { removed: new Set(), added: [] }
    const bySni: EntryChange = { removed: new Set(), added: [] }
    const byKey = new Map<string, EntryChange>()
    const headerNames = new Map(this.#headerNames)
    const queryNames = new Map(this.#queryNames)
    const note = (entry: Entry, by: 1 | -1): void => {
      const put = (change: EntryChange): unknown => (by > 0 ? change.added.push(entry) : change.removed.add(entry))
      const key = keyOf(entry)
      if (key === null) return void put(rest)
      if (key.kind === 's') put(bySni)
      if (key.kind === 'h') headerNames.set(key.name, (headerNames.get(key.name) ?? 0) + by)
      if (key.kind === 'q') queryNames.set(key.name, (queryNames.get(key.name) ?? 0) + by)
      for (const value of key.values) {
        const text = keyText(key.kind, key.name, value)
        let change = byKey.get(text)
        if (change === undefined) byKey.set(text, (change = { removed: new Set(), added: [] }))
        put(change)
      }
    }
    for (const entry of removed) note(entry, -1)
    for (const entry of added) note(entry, 1)
    const lists = [...byKey].map(([text, change]): [string, readonly Entry[] | undefined] => {
      const list = changeList(this.#byKey.get(text) ?? [], change)
      return [text, list.length === 0 ? undefined : list]
    })
    return new KeyedEntries(
      changeList(this.#rest, rest),
      changeList(this.#bySni, bySni),
      this.#byKey.with(lists),
      withoutZeros(headerNames),
      withoutZeros(queryNames),
    )
  }

  search(request: RoutableRequest, methodBit: number, port: number, best: Entry | null): Entry | null {
    const { headers, query } = request
    let found = searchEntries(this.#rest, request, methodBit, port, best)
    for (const name of this.#headerNames.keys())
      for (let at = headers.nextLike(name, -1); at >= 0; at = headers.nextLike(name, at)) {
        const list = this.#byKey.get(keyText('h', name, headers.valueAt(at).toLowerCase()))
        if (list !== undefined) found = searchEntries(list, request, methodBit, port, found)
      }
    if (query !== null)
      for (const name of this.#queryNames.keys())
        for (const value of queryValues(query, name)) {
          const list = this.#byKey.get(keyText('q', name, value))
          if (list !== undefined) found = searchEntries(list, request, methodBit, port, found)
        }
    if (request.scheme !== 'https') return searchEntries(this.#bySni, request, methodBit, port, found)
    const list = request.sni === null ? undefined : this.#byKey.get(keyText('s', '', request.sni))
    return list === undefined ? found : searchEntries(list, request, methodBit, port, found)
  }
}

interface EntryChange {
  readonly removed: Set<Entry>
  readonly added: Entry[]
}

interface EntryKey {
  /** Header, query argument or server name. */
  readonly kind: 'h' | 'q' | 's'
  readonly name: string
  readonly values: ReadonlySet<string>
}

/** One thing that the request must have literally, or null. */
function keyOf({ conditions }: Entry): EntryKey | null {
  if (conditions === null) return null
  for (const condition of conditions)
    if (condition instanceof HeaderCondition && condition.regexes.length === 0)
      return { kind: 'h', name: condition.name, values: condition.values }
  for (const condition of conditions)
    if (condition instanceof QueryCondition && condition.values.size > 0)
      return { kind: 'q', name: condition.name, values: condition.values }
  for (const condition of conditions)
    if (condition instanceof SniCondition && condition.isExact) return { kind: 's', name: '', values: condition.names }
  return null
}

/** Names and values may hold any character; the length keeps them apart. */
function keyText(kind: EntryKey['kind'], name: string, value: string): string {
  return `${kind}${name.length}:${name}${value}`
}

function changeList(list: readonly Entry[], { removed, added }: EntryChange): readonly Entry[] {
  if (removed.size === 0 && added.length === 0) return list
  const kept = removed.size === 0 ? list.slice() : list.filter((entry) => !removed.has(entry))
  if (added.length > MAX_SCANNED) return [...kept, ...added].sort(compareEntries)
  for (const entry of added) kept.splice(placeOf(kept, entry), 0, entry)
  return kept
}

/** Where the entry belongs in a sorted list. */
function placeOf(sorted: readonly Entry[], entry: Entry): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareEntries(sorted[middle]!, entry) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

function withoutZeros(counts: Map<string, number>): ReadonlyMap<string, number> {
  for (const [name, count] of counts) if (count === 0) counts.delete(name)
  return counts
}
