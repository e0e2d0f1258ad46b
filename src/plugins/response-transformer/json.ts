/** Changes to JSON bodies. */
import { splitPair } from '#pdk/name-value.ts'
import { parseExactly } from './exact-json.ts'
import { holdersOf, member, parsePath, setMember, type JsonPath } from './json-path.ts'

type JsonType = 'boolean' | 'number' | 'string'

interface Assignment {
  readonly path: JsonPath
  readonly value: string | number | boolean
}

interface TypedTexts {
  readonly json: readonly string[]
  /** Type of the value at the same place in `json`; text where there is none. */
  readonly json_types: readonly JsonType[]
}

export interface JsonTexts {
  readonly remove: { readonly json: readonly string[] }
  readonly rename: { readonly json: readonly string[] }
  readonly replace: TypedTexts
  readonly add: TypedTexts
  readonly append: TypedTexts
}

export interface JsonOperations {
  readonly remove: readonly JsonPath[]
  readonly rename: readonly { readonly from: JsonPath; readonly to: JsonPath }[]
  readonly replace: readonly Assignment[]
  readonly add: readonly Assignment[]
  readonly append: readonly Assignment[]
}

/** Null when nothing is configured. */
export function compileJson(texts: JsonTexts): JsonOperations | null {
  const operations = {
    remove: texts.remove.json.map((text) => parsePath(splitPair(text).name)),
    rename: texts.rename.json
      .map(splitPair)
      .filter(({ value }) => value !== '')
      .map(({ name, value }) => ({ from: parsePath(name), to: parsePath(value) })),
    replace: assignments(texts.replace),
    add: assignments(texts.add),
    append: assignments(texts.append),
  }
  return Object.values(operations).every((list) => list.length === 0) ? null : operations
}

/** The changed body; null when nothing changes: the bytes are no JSON, or nothing in them is meant. */
export function transformJson(bytes: Buffer, operations: JsonOperations): Buffer | null {
  const root = parseExactly(bytes)
  if (root === undefined) return null
  let isChanged = false
  for (const path of operations.remove) {
    for (const holder of holdersOf(root, path)) {
      if (!Object.hasOwn(holder, path.last)) continue
      delete holder[path.last]
      isChanged = true
    }
  }
  for (const { from, to } of operations.rename) if (rename(root, from, to)) isChanged = true
  for (const { path, value } of operations.replace) {
    for (const holder of holdersOf(root, path)) {
      if (!Object.hasOwn(holder, path.last)) continue
      setMember(holder, path.last, value)
      isChanged = true
    }
  }
  for (const { path, value } of operations.add) {
    for (const holder of holdersOf(root, path)) {
      if (Object.hasOwn(holder, path.last)) continue
      setMember(holder, path.last, value)
      isChanged = true
    }
  }
  for (const { path, value } of operations.append) {
    for (const holder of holdersOf(root, path)) {
      setMember(holder, path.last, appended(member(holder, path.last), value))
      isChanged = true
    }
  }
  return isChanged ? Buffer.from(JSON.stringify(root)) : null
}

/** With several places of origin, each value goes to the place that has the same number. */
function rename(root: unknown, from: JsonPath, to: JsonPath): boolean {
  const values: unknown[] = []
  for (const holder of holdersOf(root, from)) {
    if (!Object.hasOwn(holder, from.last)) continue
    values.push(holder[from.last])
    delete holder[from.last]
  }
  if (values.length === 0) return false
  holdersOf(root, to).forEach((holder, i) => {
    if (i < values.length) setMember(holder, to.last, values[i])
  })
  return true
}

/** What was no list becomes its first element. */
function appended(current: unknown, value: unknown): unknown[] {
  if (current === undefined || current === null) return [value]
  return Array.isArray(current) ? [...(current as unknown[]), value] : [current, value]
}

function assignments({ json, json_types }: TypedTexts): Assignment[] {
  return json.flatMap((text, i) => {
    const { name, value } = splitPair(text)
    const typed = value === '' ? null : typedValue(value, json_types[i] ?? 'string')
    return typed === null ? [] : [{ path: parsePath(name), value: typed }]
  })
}

/** As in Kong, what is not 'true' is false, and what is no number is left out. */
function typedValue(text: string, type: JsonType): string | number | boolean | null {
  if (type === 'boolean') return text === 'true'
  if (type === 'string') return text
  const number = text.trim() === '' ? Number.NaN : Number(text)
  return Number.isFinite(number) ? number : null
}
