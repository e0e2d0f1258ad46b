/** What an identity provider says about somebody: claims by name, of one or several sources. */

export type Claims = Readonly<Record<string, unknown>>

/** The value at a path of names in the first source that has one; undefined when none has. */
export function findClaim(sources: readonly Claims[], path: readonly string[]): unknown {
  for (const source of sources) {
    const value = valueAt(source, path)
    if (value !== undefined && value !== null) return value
  }
  return undefined
}

function valueAt(source: Claims, path: readonly string[]): unknown {
  let value: unknown = source
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Claims)[name]
  }
  return value
}

/** The texts of a claim that lists something: an array, or words with spaces between (RFC 6749 3.3). Other values list nothing. */
export function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.split(' ').filter((word) => word !== '')
  if (!Array.isArray(value)) return []
  return value.filter((one): one is string => typeof one === 'string')
}

/** The claim as one text; null when it is none. */
export function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value === '' ? null : value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null
}

/** The claim as a header's value: lists with commas, objects as JSON. Null when there is nothing to say. */
export function headerTextOf(value: unknown): string | null {
  if (value === undefined || value === null) return null
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) return value.join(', ')
  return typeof value === 'object' ? JSON.stringify(value) : textOf(value)
}

/** What a claim has to say: one of the alternatives, with all of its words. */
export interface Requirement {
  readonly path: readonly string[]
  readonly alternatives: readonly (readonly string[])[]
}

/** As Kong writes it: elements of the array are alternatives, words of an element are all required. Null requires nothing. */
export function requirementOf(
  required: readonly string[] | null,
  path: readonly string[] | null,
  missing: string,
): Requirement | null {
  if (required === null || required.length === 0) return null
  return {
    path: path === null || path.length === 0 ? [missing] : path,
    alternatives: required.map((one) => one.split(' ').filter((word) => word !== '')),
  }
}

export function isMet(sources: readonly Claims[], { path, alternatives }: Requirement): boolean {
  const said = new Set(textsOf(findClaim(sources, path)))
  return alternatives.some((words) => words.length > 0 && words.every((word) => said.has(word)))
}

/** The object that a text of JSON is; null for anything else. */
export function parseClaims(text: string): Claims | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : null
  } catch {
    // What a provider or a client sent is no JSON: told as such, and the parser's message would show a part of it.
    return null
  }
}
