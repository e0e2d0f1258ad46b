/** JSON whose numbers stay as they were written: an id beyond 2^53 would come out as another one. */

/** What the type library does not know of `JSON` yet (the proposal "JSON.parse source text access", in V8 since 11.4). */
interface SourceTextAccess {
  parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown
  rawJSON(text: string): object
  isRawJSON(value: unknown): boolean
}
const json = JSON as unknown as SourceTextAccess

/** Undefined for what is no JSON. `JSON.stringify` writes the result, in which some numbers are opaque objects. */
export function parseExactly(bytes: Buffer): unknown {
  try {
    return json.parse(bytes.toString('utf8'), (_, value, { source }) =>
      typeof value === 'number' && source !== undefined && String(value) !== source ? json.rawJSON(source) : value,
    )
  } catch {
    // Not JSON is an expected answer here, and the parser's message has no reader.
    return undefined
  }
}

/** Whether a parsed value is such a number. */
export function isExactNumber(value: unknown): boolean {
  return json.isRawJSON(value)
}
