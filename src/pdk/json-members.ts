/**
 * The top level of a JSON object whose members can be exchanged while every other byte of their values stays as it came: no
 * number is rounded, no nested key moved. Names are Unicode; raw values are wire texts. A repeated name keeps its last value.
 */
export type JsonMembers = Map<string, string>

/** Null when the bytes are not a JSON object (RFC 8259). */
export function parseJsonMembers(bytes: Buffer): JsonMembers | null {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  } catch {
    // Not JSON is an expected answer here, and the parser's message has no reader.
    return null
  }
  return splitMembers(bytes.toString('latin1'))
}

export function encodeJsonMembers(members: JsonMembers): Buffer {
  const parts: string[] = []
  for (const [name, raw] of members) parts.push(`${rawJson(name)}:${raw}`)
  return Buffer.from(`{${parts.join(',')}}`, 'latin1')
}

/** A value in the form in which members hold it. */
export function rawJson(value: unknown): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('latin1')
}

export function valueOfJson(raw: string): unknown {
  return JSON.parse(Buffer.from(raw, 'latin1').toString('utf8'))
}

const QUOTE = 34
const BACKSLASH = 92

/** `text` is known to be a valid object, so this looks only for where members begin and end. */
function splitMembers(text: string): JsonMembers {
  const members: JsonMembers = new Map()
  if (/^\s*\{\s*\}/.test(text)) return members
  let at = 0
  for (;;) {
    const nameStart = text.indexOf('"', at)
    const nameEnd = endOfString(text, nameStart)
    const valueStart = text.indexOf(':', nameEnd) + 1
    const valueEnd = endOfValue(text, valueStart)
    const name = valueOfJson(text.slice(nameStart, nameEnd)) as string
    // A later value of the same name wins, and stands where it came.
    members.delete(name)
    members.set(name, text.slice(valueStart, valueEnd).trim())
    if (text.charCodeAt(valueEnd) !== 44) return members
    at = valueEnd + 1
  }
}

function endOfString(text: string, start: number): number {
  for (let i = start + 1; ; i++) {
    const code = text.charCodeAt(i)
    if (code === BACKSLASH) i++
    else if (code === QUOTE) return i + 1
  }
}

/** Index of the comma or brace behind the value. */
function endOfValue(text: string, start: number): number {
  let depth = 0
  for (let i = start; ; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) i = endOfString(text, i) - 1
    else if (code === 123 || code === 91) depth++
    else if (code === 125 || code === 93) {
      if (depth === 0) return i
      depth--
    } else if (code === 44 && depth === 0) return i
  }
}
