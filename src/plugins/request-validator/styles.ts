/**
 * How lists and objects stand in parameters (OpenAPI 3.1, "Style Values"): texts are split where the style says so before they are
 * decoded, so that an encoded delimiter is part of a value.
 */
import type { TypeHints } from './type-hints.ts'

export type Place = 'path' | 'query' | 'header' | 'cookie'
export type Style = 'simple' | 'label' | 'matrix' | 'form' | 'spaceDelimited' | 'pipeDelimited' | 'deepObject'
export type Shape = 'value' | 'array' | 'object'

/** The styles that a place may have, the default first. */
export const STYLES: Readonly<Record<Place, readonly Style[]>> = {
  path: ['simple', 'label', 'matrix'],
  query: ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'],
  header: ['simple'],
  cookie: ['form'],
}

/** A parameter as its texts, or why it can't be read; null when it is not there. */
export type Split =
  | { readonly shape: 'value'; readonly text: string }
  | { readonly shape: 'array'; readonly texts: readonly string[] }
  | { readonly shape: 'object'; readonly members: ReadonlyMap<string, string> }
  | { readonly problem: string }
  | null

export type Decode = (raw: string) => string

export function shapeOf({ types }: TypeHints): Shape {
  const hasPlain = ['string', 'number', 'integer', 'boolean'].some((type) => types.has(type))
  if (hasPlain) return 'value'
  return types.has('array') ? 'array' : types.has('object') ? 'object' : 'value'
}

/** A parameter that is one text: in the path, a header, or a cookie. */
export function splitText(
  raw: string,
  name: string,
  style: Style,
  explode: boolean,
  shape: Shape,
  decode: Decode,
): Split {
  if (style === 'label') {
    if (!raw.startsWith('.')) return { problem: "has to begin with '.'" }
    return splitList(raw.slice(1), explode ? '.' : ',', explode, shape, decode)
  }
  if (style === 'matrix') return splitMatrix(raw, name, explode, shape, decode)
  return splitList(raw, ',', explode, shape, decode)
}

function splitMatrix(raw: string, name: string, explode: boolean, shape: Shape, decode: Decode): Split {
  if (!raw.startsWith(';')) return { problem: "has to begin with ';'" }
  const parts = raw.slice(1).split(';').map(pairOf)
  if (explode && shape === 'object') return membersOf(parts, decode)
  if (parts.some(([key]) => decode(key) !== name)) return { problem: `has to be ;${name}=` }
  if (explode && shape === 'array') return { shape, texts: parts.map(([, value]) => decode(value)) }
  return parts.length > 1 ? SEVERAL : splitList(parts[0]![1], ',', false, shape, decode)
}

function splitList(raw: string, delimiter: string | RegExp, explode: boolean, shape: Shape, decode: Decode): Split {
  if (shape === 'value') return { shape, text: decode(raw) }
  const parts = raw === '' ? [] : raw.split(delimiter)
  if (shape === 'array') return { shape, texts: parts.map(decode) }
  if (explode) return membersOf(parts.map(pairOf), decode)
  if (parts.length % 2 === 1) return { problem: 'has a name without a value' }
  const pairs: [string, string][] = []
  for (let i = 0; i < parts.length; i += 2) pairs.push([parts[i]!, parts[i + 1]!])
  return membersOf(pairs, decode)
}

/** Name (decoded) and value (as it came) of each argument of a query, or of a form. */
export type RawArgs = readonly (readonly [name: string, raw: string])[]

const DELIMITERS: Partial<Record<Style, RegExp>> = { spaceDelimited: /%20|\+| /, pipeDelimited: /%7[Cc]|\|/ }

/** A parameter in a query, which may be in several arguments. */
export function splitArgs(
  args: RawArgs,
  name: string,
  style: Style,
  explode: boolean,
  shape: Shape,
  hints: TypeHints,
  decode: Decode,
): Split {
  if (style === 'deepObject') return splitDeep(args, name, decode)
  if (explode && shape === 'object' && style === 'form') {
    const { properties } = hints
    const own = properties.size === 0 ? args : args.filter(([key]) => properties.has(key))
    return own.length === 0 ? null : membersOf(own, decode, (key) => key)
  }
  const own = args.filter(([key]) => key === name)
  if (own.length === 0) return null
  if (explode && shape === 'array') return { shape, texts: own.map(([, raw]) => decode(raw)) }
  // Which of them the upstream takes is not for a guess.
  if (own.length > 1) return SEVERAL
  const raw = own[0]![1]
  return splitList(raw, DELIMITERS[style] ?? ',', false, shape, decode)
}

function splitDeep(args: RawArgs, name: string, decode: Decode): Split {
  const pairs: [string, string][] = []
  for (const [key, raw] of args) {
    if (!key.startsWith(`${name}[`)) continue
    const inner = key.slice(name.length + 1, -1)
    if (!key.endsWith(']') || /[[\]]/.test(inner)) return { problem: `has to be ${name}[NAME]=` }
    pairs.push([inner, raw])
  }
  return pairs.length === 0 ? null : membersOf(pairs, decode, (key) => key)
}

const SEVERAL = { problem: 'has several values' } as const

function membersOf(pairs: RawArgs, decode: Decode, decodeName: Decode = decode): Split {
  const members = new Map<string, string>()
  for (const [rawName, raw] of pairs) {
    const name = decodeName(rawName)
    if (members.has(name)) return { problem: 'has a member twice' }
    members.set(name, decode(raw))
  }
  return { shape: 'object', members }
}

function pairOf(text: string): readonly [string, string] {
  const equals = text.indexOf('=')
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
}
