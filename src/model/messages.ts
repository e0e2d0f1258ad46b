/** The texts of validation, word for word Kong's: clients and tests compare them. */

export const MESSAGES = {
  required: 'required field missing',
  unknown: 'unknown field',
  array: 'expected an array',
  set: 'expected a set',
  map: 'expected a map',
  record: 'expected a record',
  string: 'expected a string',
  number: 'expected a number',
  integer: 'expected an integer',
  boolean: 'expected a boolean',
  timestamp: 'expected a valid timestamp',
  uuid: 'expected a valid UUID',
  requiredForCheck: 'field required for entity check',
  missingPrimaryKey: 'missing primary key',
  abstract: 'error in schema definition: abstract field was not specialized',
  ttl: 'must be an integer between 0 and 100000000',
} as const

/** `'a', 'b', 'c'`, as Kong names fields in a message. */
export function quotedList(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ')
}

/** A value inside a message as Lua's `tostring` writes it. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return shownNumber(value)
  if (value === null || value === undefined) return 'null'
  return typeof value === 'boolean' ? String(value) : JSON.stringify(value)
}

/** Lua prints numbers with 14 significant digits. */
export function shownNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value)
  return String(Number(value.toPrecision(14)))
}
