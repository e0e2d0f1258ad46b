/** Kinds of single values, in the forms that Kong and nginx use. In `Settings` every duration is in ms and every size in bytes. */
import path from 'node:path'
import { accept, expect, expectAt, splitList, type Kind, type Parsed } from './kind.ts'

export const flag: Kind<boolean> = {
  form: 'on | off',
  shape: 'boolean',
  parse(text) {
    const word = text.toLowerCase()
    if (word === 'on' || word === 'true') return accept(true)
    if (word === 'off' || word === 'false') return accept(false)
    return expect('on or off')
  },
}

export function integer(least: number, most: number): Kind<number> {
  return {
    form: `${least}..${most}`,
    shape: 'number',
    parse(text) {
      const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN
      return value >= least && value <= most ? accept(value) : expect(`a whole number ${least}..${most}`)
    },
  }
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  M: 2_592_000_000,
  y: 31_536_000_000,
}
const LONGEST_MS = 10 * DURATION_UNITS['y']!

/** nginx's form of times: `90`, `1m30s`, `500ms`. A plain number is in seconds. */
export function duration(leastMs = 0, mostMs = LONGEST_MS): Kind<number> {
  return {
    form: 'time',
    shape: 'number',
    parse(text) {
      const ms = parseDuration(text)
      if (ms === null) return expect('a time such as 500ms, 30 (seconds), 30s or 1h30m')
      return ms >= leastMs && ms <= mostMs ? accept(ms) : expect(`a time from ${leastMs} ms to ${mostMs} ms`)
    },
  }
}

/** Kong's times whose plain numbers are milliseconds; those with a unit are as everywhere. */
export function milliseconds(leastMs: number, mostMs: number): Kind<number> {
  const { parse } = duration(leastMs, mostMs)
  return {
    form: 'milliseconds | time',
    shape: 'number',
    parse: (value, surroundings) => parse(/^\d{1,9}$/.test(value) ? `${value}ms` : value, surroundings),
  }
}

export function parseDuration(text: string): number | null {
  if (/^\d{1,12}(\.\d{1,3})?$/.test(text)) return Math.round(Number(text) * 1000)
  const parts = text.match(/^(\d{1,12}(?:ms|[smhdwMy]))+$/)
  if (parts === null) return null
  let total = 0
  let previous = Infinity
  for (const [, amount, unit] of parts[0].matchAll(/(\d+)(ms|[smhdwMy])/g)) {
    const unitMs = DURATION_UNITS[unit!]!
    // As nginx: units get smaller, so that 1s1h is a mistake and not a sum.
    if (unitMs >= previous) return null
    previous = unitMs
    total += Number(amount) * unitMs
  }
  return total
}

const SIZE_UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/** nginx's form of sizes: `8192`, `8k`, `10m`, `1g`. */
export function size(leastBytes = 0, mostBytes = 2 ** 50): Kind<number> {
  return {
    form: 'size',
    shape: 'text',
    parse(text) {
      const bytes = parseSize(text)
      if (bytes === null) return expect('a size such as 8192, 8k, 10m or 1g')
      return bytes >= leastBytes && bytes <= mostBytes
        ? accept(bytes)
        : expect(`a size from ${leastBytes} to ${mostBytes} bytes`)
    },
  }
}

export function parseSize(text: string): number | null {
  const parts = /^(\d{1,15})([kmg]?)$/i.exec(text)
  return parts === null ? null : Number(parts[1]) * SIZE_UNITS[parts[2]!.toLowerCase()]!
}

/** One of some words. `refused` are words that are known but can't be had: what the operator is told instead. */
export function choice<const T extends string>(
  words: readonly T[],
  refused: Readonly<Record<string, string>> = {},
): Kind<T> {
  return {
    form: words.map((word) => `\`${word}\``).join(' | '),
    shape: 'text',
    parse(text) {
      const word = words.find((known) => known === text)
      if (word !== undefined) return accept(word)
      if (Object.hasOwn(refused, text)) return expect(`one of ${words.join(', ')}`, refused[text])
      return expect(`one of ${words.join(', ')}`)
    },
  }
}

export function text(form: string, pattern: RegExp, expected: string): Kind<string> {
  return { form, shape: 'text', parse: (value) => (pattern.test(value) ? accept(value) : expect(expected)) }
}

/** A file or folder that the operator names: relative to the working folder. */
export const operatorPath: Kind<string> = {
  form: 'path',
  shape: 'text',
  parse: (value, { workingFolder }) => parsePath(value, workingFolder),
}

export function parsePath(value: string, base: string): Parsed<string> {
  return value.includes('\0') ? expect('a path without NUL') : accept(path.resolve(base, value))
}

/** Elements between commas; `off` alone is the empty list where `off` is given. */
export function list<T>(
  element: Kind<T>,
  options: { readonly off?: boolean; readonly form?: string } = {},
): Kind<readonly T[]> {
  return {
    form: options.form ?? `list of ${element.form}`,
    shape: 'array',
    parse(value, surroundings) {
      const parts = splitList(value)
      if (options.off === true && parts.length === 1 && parts[0] === 'off') return accept([])
      const values: T[] = []
      for (const part of parts) {
        const parsed = element.parse(part, surroundings)
        if (!parsed.ok) return parts.length === 1 ? parsed : expectAt(parsed.expected, part)
        values.push(parsed.value)
      }
      return accept(values)
    },
  }
}

/** A number, or `auto` for one that the gateway chooses. */
export function integerOrAuto(least: number, most: number, auto: number): Kind<number> {
  const number = integer(least, most)
  return {
    form: `auto | ${number.form}`,
    shape: 'text',
    parse: (value, surroundings) => (value === 'auto' ? accept(auto) : number.parse(value, surroundings)),
  }
}

/** `auto`, or a number of threads. */
export const workerCount: Kind<number> = {
  form: 'auto | 1..256',
  shape: 'text',
  parse(value, surroundings) {
    return integerOrAuto(1, 256, Math.max(1, Math.min(surroundings.cores, 256))).parse(value, surroundings)
  },
}
