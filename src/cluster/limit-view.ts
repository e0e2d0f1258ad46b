/** What a limit has counted, in the Redis of each data center or the only one; and how that is reset. */
import { usedOfBucket, previousWeight, type LimitWindow } from '#model/limit-window.ts'
import { sharedName, shortName } from './counter-name.ts'
import { mergeWindow, shareOfDataCenter, unionOf, usedBy, type Held, type WindowLink } from './limit-rows.ts'
import { RESET } from './limit-scripts.ts'
import { RedisFailure } from './redis-link.ts'

/** Where a limit's counters are. */
export interface LimitPlace {
  /** Before the names of windows. */
  readonly keyPrefix: string
  /** Whether names are those of counters that are exchanged in rounds. */
  readonly isSynced: boolean
  readonly isLeased: boolean
  /** All data centers, by their names; one without a name where there are none. */
  readonly links: readonly { readonly name: string; readonly link: WindowLink }[]
}

/** Of a data center; its Redis may not answer. */
export interface DataCenterUse {
  readonly name: string
  readonly isReachable: boolean
  readonly used: number
  /** The part of a leased limit that it has; null of others. */
  readonly share: number | null
}

export interface LimitUse {
  /** Null where only the nodes know: of buckets whose counts are exchanged in rounds. */
  readonly used: number | null
  readonly dataCenters: readonly DataCenterUse[]
}

export async function readLimit(place: LimitPlace, key: string, window: LimitWindow, nowMs: number): Promise<LimitUse> {
  const current = await readAll(place, nameOf(place, key, window.keySuffix))
  const dataCenters = place.links.map(({ name }, at) => useOf(place, window, name, current, at))
  if (place.isLeased) return { used: dataCenters.reduce((sum, { used }) => sum + used, 0), dataCenters }
  if (window.algorithm === 'bucket') {
    const full = current.flatMap((held) => held?.own.get('t') ?? [])
    const used = place.isSynced ? null : Math.max(0, ...full.map((fullAtMs) => usedOfBucket(window, fullAtMs, nowMs)))
    return { used, dataCenters }
  }
  let used = totalOf(current)
  if (window.algorithm === 'sliding') {
    const before = await readAll(place, nameOf(place, key, window.previousSuffix))
    used += previousWeight(window, nowMs) * totalOf(before)
  }
  return { used, dataCenters }
}

/** The data centers whose Redis did not answer. Nodes that limit without Redis at this moment do not know of it. */
export async function resetLimit(place: LimitPlace, key: string, window: LimitWindow): Promise<readonly string[]> {
  const suffixes = window.previousSuffix === '' ? [window.keySuffix] : [window.previousSuffix, window.keySuffix]
  const failed = await Promise.all(
    place.links.map(async ({ name, link }) => {
      for (const suffix of suffixes) {
        const answer = await link.run(RESET, [nameOf(place, key, suffix)], [place.isLeased ? name : ''])
        if (answer instanceof RedisFailure) return [name]
      }
      return []
    }),
  )
  return failed.flat()
}

/** As `SyncedCounters` shortens names. */
const LONGEST_SYNCED = 64

/** A suffix ends with the start of its window. */
function nameOf({ keyPrefix, isSynced }: LimitPlace, key: string, suffix: string): string {
  if (!isSynced) return `${keyPrefix}{${sharedName(key)}}${suffix}`
  const start = suffix.slice(suffix.lastIndexOf(':') + 1)
  return `${keyPrefix}{${sharedName(shortName(shortName(key) + suffix, LONGEST_SYNCED))}}${start}`
}

/** Null of those that do not answer. */
function readAll({ links }: LimitPlace, name: string): Promise<(Held | null)[]> {
  return Promise.all(
    links.map(async ({ link }) => {
      const held = await mergeWindow(link, name)
      return held instanceof RedisFailure ? null : held
    }),
  )
}

/** By what any of them knows: also of one that does not answer, or has lost it. */
function useOf(
  { links, isLeased }: LimitPlace,
  { most }: LimitWindow,
  name: string,
  all: readonly (Held | null)[],
  at: number,
): DataCenterUse {
  const held = all[at] ?? null
  const isReachable = held !== null
  if (name === '') return { name, isReachable, used: totalOf([held]), share: null }
  const rows = unionOf(...all.map((held) => held?.rows ?? []))
  const used = usedBy(name, rows, isLeased ? held?.own.get('k') : 0)
  const names = links.map((each) => each.name)
  return { name, isReachable, used, share: isLeased ? shareOfDataCenter(name, names, most, rows) : null }
}

/** Over all nodes, less what was reset. */
function totalOf(all: readonly (Held | null)[]): number {
  let known = 0
  let sum = 0
  let forgiven = 0
  for (const { name, value } of unionOf(...all.map((held) => held?.rows ?? []))) {
    if (name.startsWith('!')) forgiven = value
    else sum += value
  }
  for (const held of all) {
    known = Math.max(known, held?.own.get('k') ?? 0)
    // Where there are no data centers, rows have the names of nodes alone.
    for (const [name, value] of held?.own ?? []) if (name.length > 1) sum += value
  }
  return Math.max(0, Math.max(known, sum) - forgiven)
}
