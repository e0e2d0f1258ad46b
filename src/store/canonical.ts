/**
 * The one byte form of a JSON value: keys sorted by UTF-16 code unit, no white space, `undefined` members left out. Hashes and
 * digests are taken over these bytes and the bytes are what is stored, so that nodes of different versions agree on them.
 * Throws on what JSON cannot say (functions, symbols, bigints, NaN, infinities): such a value in a document is a bug of its writer.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value)
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`expected a finite number, got ${value}`)
      return JSON.stringify(value)
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? canonicalArray(value) : canonicalObject(value)
    default:
      throw new TypeError(`expected a JSON value, got ${typeof value}`)
  }
}

/** A copy that shares nothing with the value and can't be changed: what a store keeps and hands out. */
export function frozenCopy<T>(value: T): T {
  return deepFreeze(JSON.parse(canonicalJson(value)) as T)
}

function canonicalArray(list: readonly unknown[]): string {
  let text = '['
  for (let i = 0; i < list.length; i++) {
    if (i > 0) text += ','
    // The same as JSON.stringify: a hole in an array is a null, so that positions stay.
    text += canonicalJson(list[i] === undefined ? null : list[i])
  }
  return text + ']'
}

function canonicalObject(value: object): string {
  const record = value as Readonly<Record<string, unknown>>
  let text = '{'
  for (const key of Object.keys(record).sort()) {
    const member = record[key]
    if (member === undefined) continue
    text += `${text.length > 1 ? ',' : ''}${JSON.stringify(key)}:${canonicalJson(member)}`
  }
  return text + '}'
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
