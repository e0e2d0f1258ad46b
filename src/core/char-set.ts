/** Sets of UTF-16 code units, as sorted ranges: what a character class of a regular expression stands for. */

/** `[low, high, low, high ...]`, sorted, neither overlapping nor touching. */
export type CharSet = readonly number[]

const LAST = 0xffff

export function charSet(...ranges: readonly number[]): CharSet {
  return normalise(ranges)
}

export function unionOf(...sets: readonly CharSet[]): CharSet {
  return normalise(sets.flat())
}

export function complementOf(set: CharSet): CharSet {
  const result: number[] = []
  let next = 0
  for (let i = 0; i < set.length; i += 2) {
    if (set[i]! > next) result.push(next, set[i]! - 1)
    next = set[i + 1]! + 1
  }
  if (next <= LAST) result.push(next, LAST)
  return result
}

export function intersects(a: CharSet, b: CharSet): boolean {
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i + 1]! < b[j]!) i += 2
    else if (b[j + 1]! < a[i]!) j += 2
    else return true
  }
  return false
}

/** With the other case of every ASCII letter in it: Kong's engines fold bytes, and a path's other characters are escaped. */
export function withBothCases(set: CharSet): CharSet {
  return unionOf(set, shifted(set, 0x41, 0x5a, 32), shifted(set, 0x61, 0x7a, -32))
}

/** With the lower-case form of every ASCII letter in it, for subjects that are in lower case. */
export function withLowerCase(set: CharSet): CharSet {
  return unionOf(set, shifted(set, 0x41, 0x5a, 32))
}

/** The one code unit that the set has, or -1. */
export function onlyMember(set: CharSet): number {
  return set.length === 2 && set[0] === set[1] ? set[0]! : -1
}

export const DIGIT = charSet(0x30, 0x39)
export const WORD = charSet(0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a)
export const SPACE = charSet(0x09, 0x0d, 0x20, 0x20)
export const HORIZONTAL_SPACE = charSet(0x09, 0x09, 0x20, 0x20, 0xa0, 0xa0)
export const VERTICAL_SPACE = charSet(0x0a, 0x0d, 0x85, 0x85, 0x2028, 0x2029)
export const NOT_NEWLINE = complementOf(charSet(0x0a, 0x0a))
export const ANY = charSet(0, LAST)

/** POSIX classes, `[[:alpha:]]`. */
export const POSIX: Readonly<Record<string, CharSet>> = {
  alnum: charSet(0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a),
  alpha: charSet(0x41, 0x5a, 0x61, 0x7a),
  ascii: charSet(0, 0x7f),
  blank: charSet(0x09, 0x09, 0x20, 0x20),
  cntrl: charSet(0, 0x1f, 0x7f, 0x7f),
  digit: DIGIT,
  graph: charSet(0x21, 0x7e),
  lower: charSet(0x61, 0x7a),
  print: charSet(0x20, 0x7e),
  punct: charSet(0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e),
  space: SPACE,
  upper: charSet(0x41, 0x5a),
  word: WORD,
  xdigit: charSet(0x30, 0x39, 0x41, 0x46, 0x61, 0x66),
}

/** Unicode categories that mean something for ASCII text, which normalised paths are. */
export const CATEGORY: Readonly<Record<string, CharSet>> = {
  L: POSIX['alpha']!,
  Lu: POSIX['upper']!,
  Ll: POSIX['lower']!,
  N: DIGIT,
  Nd: DIGIT,
}

function shifted(set: CharSet, low: number, high: number, by: number): CharSet {
  const result: number[] = []
  for (let i = 0; i < set.length; i += 2) {
    const from = Math.max(set[i]!, low)
    const to = Math.min(set[i + 1]!, high)
    if (from <= to) result.push(from + by, to + by)
  }
  return result
}

function normalise(ranges: readonly number[]): CharSet {
  const pairs: [low: number, high: number][] = []
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i]!, ranges[i + 1]!])
  pairs.sort((a, b) => a[0] - b[0])
  const result: number[] = []
  for (const [low, high] of pairs) {
    const end = result.length - 1
    if (end > 0 && low <= result[end]! + 1) result[end] = Math.max(result[end]!, high)
    else result.push(low, high)
  }
  return result
}
