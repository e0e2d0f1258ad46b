/** Looks into a query string without taking it apart: arguments are compared where they stand, and decoded only when they are encoded. */

const PERCENT = 0x25
const PLUS = 0x2b
const EQUALS = 0x3d

/** Whether an argument with this name has one of these values, or any value when there are none. */
export function queryHas(query: string, name: string, values: ReadonlySet<string>): boolean {
  for (let start = 0; start <= query.length;) {
    const end = endOf(query, start)
    if (nameIs(query, start, end, name) && (values.size === 0 || values.has(valueOf(query, start, end)))) return true
    start = end + 1
  }
  return false
}

/** Every value of the arguments with this name, in order. */
export function queryValues(query: string, name: string): string[] {
  const values: string[] = []
  for (let start = 0; start <= query.length;) {
    const end = endOf(query, start)
    if (nameIs(query, start, end, name)) values.push(valueOf(query, start, end))
    start = end + 1
  }
  return values
}

function endOf(query: string, start: number): number {
  const end = query.indexOf('&', start)
  return end < 0 ? query.length : end
}

function nameIs(query: string, start: number, end: number, name: string): boolean {
  const nameEnd = nameEndOf(query, start, end)
  if (isEncoded(query, start, nameEnd))
    return nameEnd - start >= name.length && decode(query.slice(start, nameEnd)) === name
  return nameEnd - start === name.length && nameEnd > start && query.startsWith(name, start)
}

function valueOf(query: string, start: number, end: number): string {
  const from = nameEndOf(query, start, end) + 1
  if (from > end) return ''
  return isEncoded(query, from, end) ? decode(query.slice(from, end)) : query.slice(from, end)
}

function nameEndOf(query: string, start: number, end: number): number {
  let at = start
  while (at < end && query.charCodeAt(at) !== EQUALS) at++
  return at
}

function isEncoded(query: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const code = query.charCodeAt(at)
    if (code === PERCENT || code === PLUS || code > 0x7e) return true
  }
  return false
}

/** The bytes of an argument as text: `+` is a space, escapes are undone, the result is UTF-8; broken escapes stay as they are. */
function decode(text: string): string {
  const bytes = text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}
