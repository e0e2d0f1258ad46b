/** A window of a counter as it is in a Redis: the rows of nodes, and what data centers gave each other. */
import { rowsOf } from './data-centers.ts'
import { MERGE } from './limit-scripts.ts'
import { RedisFailure, type RedisLink } from './redis-link.ts'

export type WindowLink = Pick<RedisLink, 'run'>

export interface Row {
  readonly name: string
  readonly value: number
}

export interface Held {
  /** Below 0: there is nothing. */
  readonly lifeMs: number
  /** Rows and gifts, which are copied. */
  readonly rows: readonly Row[]
  /** Fields of that Redis alone. */
  readonly own: ReadonlyMap<string, number>
}

export interface Merged {
  readonly lifeMs: number
  readonly rows: readonly Row[]
  /** Nothing is missing any more that was counted before. */
  readonly isAllKnown?: boolean
}

/** Takes these rows over where they are more, and answers what was there before. */
export async function mergeWindow(
  link: WindowLink,
  key: string,
  { lifeMs, rows, isAllKnown = false }: Merged = { lifeMs: 1, rows: [] },
): Promise<Held | RedisFailure> {
  const args = rows.flatMap(({ name, value }) => [name, String(value)])
  const answer = await link.run(MERGE, [key], [Math.max(1, lifeMs), isAllKnown ? 1 : 0, ...args])
  return answer instanceof RedisFailure ? answer : parseHeld(answer as string[])
}

/** The greater of each row. */
export function unionOf(...all: readonly (readonly Row[])[]): Row[] {
  const greatest = new Map<string, number>()
  for (const rows of all)
    for (const { name, value } of rows) greatest.set(name, Math.max(value, greatest.get(name) ?? 0))
  return [...greatest].map(([name, value]) => ({ name, value }))
}

/** Rows of `from` that are more than in `than`, and by how much nodes of any data center counted more. */
export function moreOf(from: readonly Row[], than: readonly Row[]): { readonly rows: Row[]; readonly counted: number } {
  const have = new Map(than.map(({ name, value }) => [name, value]))
  const rows = from.filter(({ name, value }) => value > (have.get(name) ?? 0))
  let counted = 0
  for (const { name, value } of rows) if (!/^[!>]/.test(name)) counted += value - (have.get(name) ?? 0)
  return { rows, counted }
}

function parseHeld([life, ...fields]: readonly string[]): Held {
  const rows: Row[] = []
  const own = new Map<string, number>()
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!
    const value = Number(fields[at + 1])
    if (name.includes('.')) rows.push({ name, value })
    else own.set(name, value)
  }
  return { lifeMs: Number(life), rows, own }
}

/** What nodes of this data center counted, without what was reset; `known` is what it counted by what else is known. */
export function usedBy(dataCenter: string, rows: readonly Row[], known = 0): number {
  let used = 0
  let forgiven = 0
  for (const { name, value } of rows) {
    if (name.startsWith(rowsOf(dataCenter))) used += value
    else if (name === `!${rowsOf(dataCenter)}`) forgiven = value
  }
  return Math.max(used, known) - forgiven
}

/** The part of a limit that a data center has. */
export function shareOfDataCenter(
  dataCenter: string,
  names: readonly string[],
  most: number,
  rows: readonly Row[],
): number {
  let share = Math.floor(most / names.length) + (names.indexOf(dataCenter) < most % names.length ? 1 : 0)
  for (const { name, value } of rows) {
    if (!name.startsWith('>')) continue
    if (name.startsWith(`>${dataCenter}.`)) share -= value
    if (name.endsWith(`.${dataCenter}`)) share += value
  }
  return share
}

/** What a data center has left of its share. */
export function leftOf(
  dataCenter: string,
  names: readonly string[],
  most: number,
  rows: readonly Row[],
  known = 0,
): number {
  return shareOfDataCenter(dataCenter, names, most, rows) - usedBy(dataCenter, rows, known)
}
