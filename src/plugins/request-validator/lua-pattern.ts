/** Lua's patterns, in which Kong's own schemas say what texts look like, as regular expressions (Lua 5.1 manual, 5.4.1). */

/** Classes of single characters, as what stands in brackets. */
const CLASSES: Readonly<Record<string, string>> = {
  a: 'A-Za-z',
  c: '\\x00-\\x1f\\x7f',
  d: '0-9',
  l: 'a-z',
  p: '!-\\/:-@\\[-`{-~',
  s: '\\t-\\r ',
  u: 'A-Z',
  w: '0-9A-Za-z',
  x: '0-9A-Fa-f',
}

/** The expression's source; null for what has no counterpart: `%b`, `%f`, back references, or no pattern at all. */
export function regexOfLuaPattern(pattern: string): string | null {
  let source = ''
  let at = 0
  if (pattern.startsWith('^')) {
    source = '^'
    at = 1
  }
  let groups = 0
  while (at < pattern.length) {
    const character = pattern[at]!
    if (character === '(') {
      groups++
      source += '('
      at++
      continue
    }
    if (character === ')') {
      if (--groups < 0) return null
      source += ')'
      at++
      continue
    }
    if (character === '$' && at === pattern.length - 1) return groups === 0 ? source + '$' : null
    const single = readSingle(pattern, at)
    if (single === null) return null
    source += single.source
    at = single.end
    const quantifier = pattern[at]
    if (quantifier === '*' || quantifier === '+' || quantifier === '?') source += quantifier
    else if (quantifier === '-') source += '*?'
    else continue
    at++
  }
  return groups === 0 ? source : null
}

interface Single {
  readonly source: string
  readonly end: number
}

/** What stands for one character. */
function readSingle(pattern: string, at: number): Single | null {
  const character = pattern[at]!
  if (character === '[') return readSet(pattern, at)
  if (character === '.') return { source: '[\\s\\S]', end: at + 1 }
  if (character !== '%') return { source: escaped(character), end: at + 1 }
  const next = pattern[at + 1]
  if (next === undefined) return null
  const isClass = CLASSES[next.toLowerCase()]
  if (isClass !== undefined)
    return { source: next === next.toLowerCase() ? `[${isClass}]` : `[^${isClass}]`, end: at + 2 }
  return /[0-9A-Za-z]/.test(next) ? null : { source: escaped(next), end: at + 2 }
}

function readSet(pattern: string, start: number): Single | null {
  let at = start + 1
  let source = '['
  if (pattern[at] === '^') {
    source += '^'
    at++
  }
  // A bracket that comes first is one of the set.
  for (let isFirst = true; isFirst || pattern[at] !== ']'; isFirst = false) {
    const character = pattern[at]
    if (character === undefined) return null
    if (character === '%') {
      const next = pattern[at + 1]
      if (next === undefined) return null
      const inner = CLASSES[next]
      // A complement inside of a set has no plain form.
      if (inner === undefined && /[0-9A-Za-z]/.test(next)) return null
      source += inner ?? escaped(next)
      at += 2
      continue
    }
    const last = pattern[at + 2]
    if (pattern[at + 1] === '-' && last !== undefined && last !== ']') {
      if (character > last) return null
      source += `${escaped(character)}-${escaped(last)}`
      at += 3
      continue
    }
    source += escaped(character)
    at++
  }
  return { source: `${source}]`, end: at + 1 }
}

function escaped(character: string): string {
  return /[\\^$.*+?()[\]{}|/-]/.test(character) ? `\\${character}` : character
}
