/** The query of a request. A name given twice is an error where one value is expected, never silently the first or the last. */
export interface Query {
  /** The one value, or undefined when absent. A name given twice has no one value: null. */
  one(name: string): string | null | undefined
  all(name: string): readonly string[]
  readonly names: readonly string[]
}

/** More parameters than this are ignored, as Kong does (`lua_max_uri_args`). */
const PARAMETERS_MAX = 100

/** `text` is without '?'. Malformed percent signs stay as they are. */
export function parseQuery(text: string): Query {
  const values = new Map<string, string[]>()
  let count = 0
  for (const [name, value] of new URLSearchParams(text)) {
    if (++count > PARAMETERS_MAX) break
    const list = values.get(name)
    if (list === undefined) values.set(name, [value])
    else list.push(value)
  }
  return {
    one: (name) => {
      const list = values.get(name)
      return list === undefined ? undefined : list.length === 1 ? list[0]! : null
    },
    all: (name) => values.get(name) ?? [],
    names: [...values.keys()],
  }
}
