/** Where in a JSON document an operation works: `name`, `name.name`, `list[2].name`, `list[*].name`. */

import { isExactNumber } from './exact-json.ts'

/** A member, or an element of a list, on the way to the last name. */
interface Step {
  /** Null for the value itself, when the path begins with an index. */
  readonly name: string | null
  /** Element of the list found there, from 1 as in Kong; '*' is each of them, null the value itself. */
  readonly index: number | '*' | null
}

export interface JsonPath {
  readonly steps: readonly Step[]
  readonly last: string
}

export type JsonObject = Record<string, unknown>

/** An index counts only in front of a dot, as in Kong; behind the last name it is a part of that name. */
export function parsePath(text: string): JsonPath {
  const parts = text.split('.')
  const last = parts.pop()!
  return {
    last,
    steps: parts.map((part) => {
      const [, name = '', index] = /^([^]*)\[(\d+|\*)\]$/.exec(part) ?? [part, part]
      return {
        name: name === '' && index !== undefined ? null : name,
        index: index === undefined ? null : index === '*' ? '*' : Number(index),
      }
    }),
  }
}

/** The objects in which the last name of the path stands, or could stand. */
export function holdersOf(root: unknown, { steps }: JsonPath): JsonObject[] {
  let values: unknown[] = [root]
  for (const { name, index } of steps) {
    values = values.flatMap((value) => {
      const found = name === null ? value : isObject(value) ? member(value, name) : undefined
      if (index === null) return [found]
      if (!Array.isArray(found)) return []
      return index === '*' ? (found as unknown[]) : [(found as unknown[])[index - 1]]
    })
  }
  return values.filter(isObject)
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isExactNumber(value)
}

/** What stands under a name; undefined when nothing does, also for names that every object has by nature. */
export function member(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** Not by assignment: a member called `__proto__` is data like any other. */
export function setMember(object: JsonObject, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
}
