/**
 * Arguments in `name=value&...` form: the query of a target, and bodies of type application/x-www-form-urlencoded. Names and
 * values are wire texts (`wire-text.ts`). As in Kong, `a` without '=' is `true` and stays so, and empty names are dropped.
 */
export type ArgValue = string | true
/** Values by name, in the order in which they came. */
export type Args = Map<string, ArgValue[]>

/** Answer of `findArg` for a name that came more than once. */
export const SEVERAL = Symbol('several')

export function parseArgs(text: string | null): Args {
  const args: Args = new Map()
  if (text === null) return args
  for (let start = 0; start < text.length;) {
    const end = endOfPair(text, start)
    const equals = text.indexOf('=', start)
    const hasValue = equals >= 0 && equals < end
    const name = decodeArg(text.slice(start, hasValue ? equals : end))
    if (name !== '') addArg(args, name, hasValue ? decodeArg(text.slice(equals + 1, end)) : true)
    start = end + 1
  }
  return args
}

export function addArg(args: Args, name: string, value: ArgValue): void {
  const values = args.get(name)
  if (values === undefined) args.set(name, [value])
  else values.push(value)
}

export function encodeArgs(args: Args, order: 'given' | 'by name' = 'given'): string {
  const names = [...args.keys()]
  if (order === 'by name') names.sort()
  let text = ''
  for (const name of names) {
    const encoded = encodeArg(name)
    for (const value of args.get(name)!) {
      if (text !== '') text += '&'
      text += value === true ? encoded : `${encoded}=${encodeArg(value)}`
    }
  }
  return text
}

/** The value of one argument without reading the others: null when absent. */
export function findArg(text: string | null, name: string): ArgValue | typeof SEVERAL | null {
  if (text === null) return null
  let found: ArgValue | null = null
  for (let start = 0; start < text.length;) {
    const end = endOfPair(text, start)
    const valueStart = valueOf(text, start, end, name)
    if (valueStart >= 0) {
      if (found !== null) return SEVERAL
      found = valueStart > end ? true : decodeArg(text.slice(valueStart, end))
    }
    start = end + 1
  }
  return found
}

/** The text without this argument; every other byte stays as it came. Null when nothing is left. */
export function removeArg(text: string | null, name: string): string | null {
  if (text === null || findArg(text, name) === null) return text
  const kept: string[] = []
  for (let start = 0; start < text.length;) {
    const end = endOfPair(text, start)
    if (valueOf(text, start, end, name) < 0) kept.push(text.slice(start, end))
    start = end + 1
  }
  return kept.length === 0 ? null : kept.join('&')
}

/** Where the value of the pair begins when its name is `name` (behind `end` when it has none), else -1. */
function valueOf(text: string, start: number, end: number, name: string): number {
  // The plain spelling first: nearly every argument has it, and it costs no new string.
  const after = start + name.length
  if (after <= end && text.startsWith(name, start)) {
    if (after === end) return end + 1
    if (text.charCodeAt(after) === 61) return after + 1
  }
  const equals = text.indexOf('=', start)
  const nameEnd = equals >= 0 && equals < end ? equals : end
  for (let i = start; i < nameEnd; i++) {
    const code = text.charCodeAt(i)
    if (code === 37 || code === 43) {
      return decodeArg(text.slice(start, nameEnd)) === name ? nameEnd + 1 : -1
    }
  }
  return -1
}

function endOfPair(text: string, start: number): number {
  const end = text.indexOf('&', start)
  return end < 0 ? text.length : end
}

/** '+' is a space; an escape that is none stays as it is. */
export function decodeArg(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** Escapes every byte but RFC 3986's unreserved and `!'()*`, as Kong's `ngx.escape_uri` does. */
export function encodeArg(bytes: string): string {
  return bytes.replace(
    /[^A-Za-z0-9\-._~!'()*]/g,
    (byte) => '%' + byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0'),
  )
}
