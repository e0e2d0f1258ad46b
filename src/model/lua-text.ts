import { shown } from './messages.ts'

/** Values as Kong writes them into messages: in the form of Lua's pretty printer, which clients may have learnt to read. */

const KEYWORDS = new Set(
  'and break do else elseif end false for function goto if in local nil not or repeat return then true until while'.split(
    ' ',
  ),
)

/** `{ a = "b" }` over several lines, indented by two. */
export function luaText(value: unknown): string {
  return write(value, '  ', ' = ', '\n', '')
}

/** `{a="b"}` on one line. */
export function luaLine(value: unknown): string {
  return write(value, '', '=', '', '')
}

function write(value: unknown, step: string, equals: string, newline: string, indent: string): string {
  if (typeof value === 'string') return quoted(value)
  if (value === null || value === undefined) return 'null'
  if (typeof value !== 'object') return shown(value)
  const inner = indent + step
  const nested = (item: unknown): string => write(item, step, equals, newline, inner)
  const entries = Array.isArray(value) ? listEntries(value, equals, nested) : recordEntries(value, equals, nested)
  if (entries.length === 0) return `{${newline}${indent}}`
  return `{${newline}${inner}${entries.join(`,${newline}${inner}`)}${newline}${indent}}`
}

/** What comes after a gap carries its index, from 1. */
function listEntries(list: readonly unknown[], equals: string, nested: (item: unknown) => string): string[] {
  const firstGap = list.findIndex((item) => item === null || item === undefined)
  return list.flatMap((item, index) => {
    if (item === null || item === undefined) return []
    return [firstGap >= 0 && index > firstGap ? `[${index + 1}]${equals}${nested(item)}` : nested(item)]
  })
}

function recordEntries(record: object, equals: string, nested: (item: unknown) => string): string[] {
  const entries = Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(([key, item]) => {
    const isName = /^[A-Za-z_]\w*$/.test(key) && !KEYWORDS.has(key)
    return `${isName ? key : `[${quoted(key)}]`}${equals}${nested(item)}`
  })
}

/** Texts with line ends stand in long brackets, of a level that they don't contain. */
function quoted(text: string): string {
  const level = longestBracket(`${text}]`)
  if ((!text.includes('\n') && level === null) || text.includes('\r')) {
    return `"${text
      .replaceAll(/[\\"\n]/g, '\\$&')
      .replaceAll('\r', '\\r')
      .replaceAll('\0', '\\000')}"`
  }
  const equals = '='.repeat(level === null ? 0 : level + 1)
  return `[${equals}[${text.startsWith('\n') ? '\n' : ''}${text}]${equals}]`
}

function longestBracket(text: string): number | null {
  const levels = [...text.matchAll(/\](=*)(?=\])/g)].map((match) => match[1]!.length)
  return levels.length === 0 ? null : Math.max(...levels)
}
