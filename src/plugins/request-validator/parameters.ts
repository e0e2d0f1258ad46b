/** Parameters of requests, as OpenAPI and Kong's `parameter_schema` describe them. */
import { FieldName, type Exchange } from '#pdk'
import { cookieValues } from '#pdk/cookies.ts'
import { decodeArg } from '#pdk/form.ts'
import { fromWire, toWire } from '#pdk/wire-text.ts'
import type { Judge } from './json-schema.ts'
import { parseJsonText } from '#pdk/json-text.ts'
import {
  shapeOf,
  splitArgs,
  splitText,
  type Decode,
  type Place,
  type RawArgs,
  type Shape,
  type Split,
  type Style,
} from './styles.ts'
import { readAs, type TypeHints } from './type-hints.ts'

export interface ParameterRules {
  readonly name: string
  readonly place: Place
  readonly isRequired: boolean
  readonly style: Style
  readonly explode: boolean
  /** Null where it only has to be there. */
  readonly judge: Judge | null
  readonly hints: TypeHints
  /** Its text is JSON, as `content` of OpenAPI says. */
  readonly isJson: boolean
}

/** The part of the request's path that a parameter is; null when there is none. Normalised, still encoded. */
export type PathValues = (name: string) => string | null

/** What the parameters of one request are read from. */
export class ParameterSource {
  readonly exchange: Exchange
  readonly pathValue: PathValues
  #args: RawArgs | null = null

  constructor(exchange: Exchange, pathValue: PathValues) {
    this.exchange = exchange
    this.pathValue = pathValue
  }

  get args(): RawArgs {
    return (this.#args ??= rawArgs(this.exchange.request.query))
  }
}

/** Arguments whose values are not decoded yet, in the order in which they came. */
export function rawArgs(text: string | null): RawArgs {
  if (text === null || text === '') return []
  return text.split('&').map((pair) => {
    const equals = pair.indexOf('=')
    const name = equals < 0 ? pair : pair.slice(0, equals)
    return [fromWire(decodeArg(name)), equals < 0 ? '' : pair.slice(equals + 1)] as const
  })
}

export class Parameter {
  readonly #rules: ParameterRules
  readonly #shape: Shape
  readonly #field: FieldName

  constructor(rules: ParameterRules) {
    this.#rules = rules
    this.#shape = shapeOf(rules.hints)
    this.#field = new FieldName(rules.name)
  }

  /** What is wrong with it, as a text that begins with its place and name; null when it conforms. */
  check(source: ParameterSource): string | null {
    const { name, place, isRequired } = this.#rules
    const split = this.#read(source)
    if (split === null) return isRequired ? `${place} '${name}' is required` : null
    const problem = 'problem' in split ? split.problem : this.#judge(split)
    return problem === null ? null : `${place} '${name}' ${problem}`
  }

  #judge(split: Exclude<Split, null | { problem: string }>): string | null {
    const { judge, hints, isJson } = this.#rules
    if (judge === null) return null
    if (!isJson) return judge(valueOf(split, hints))
    const parsed = parseJsonText(Buffer.from(split.shape === 'value' ? split.text : ''))
    return parsed.ok ? judge(parsed.value) : parsed.reason
  }

  #read(source: ParameterSource): Split {
    const { name, place, style, explode, hints, isJson } = this.#rules
    const shape = isJson ? 'value' : this.#shape
    switch (place) {
      case 'query':
        return splitArgs(source.args, name, style, explode, shape, hints, decodeQuery)
      case 'path': {
        const raw = source.pathValue(name)
        return raw === null ? null : splitText(raw, name, style, explode, shape, decodePath)
      }
      case 'header': {
        const values = this.#field.getAll(source.exchange.request.headers)
        if (values.length === 0) return null
        // Repeated fields are one list (RFC 9110 5.3).
        return splitText(values.join(','), name, style, explode, shape, decodeHeader)
      }
      case 'cookie': {
        const values = cookieValues(source.exchange.request.headers, toWire(name))
        if (values.length === 0) return null
        if (values.length > 1) return { problem: 'has several values' }
        return splitText(values[0]!, name, style, false, shape, decodePath)
      }
    }
  }
}

function valueOf(split: Exclude<Split, null | { problem: string }>, hints: TypeHints): unknown {
  switch (split.shape) {
    case 'value':
      return readAs(split.text, hints)
    case 'array':
      return split.texts.map((text) => readAs(text, hints.items))
    case 'object':
      return Object.fromEntries(
        [...split.members].map(([key, text]) => [key, readAs(text, hints.properties.get(key) ?? hints.others)]),
      )
  }
}

const decodeQuery: Decode = (raw) => fromWire(decodeArg(raw))
const decodeHeader: Decode = (raw) => fromWire(raw.trim())
/** A plus is a plus there. */
const decodePath: Decode = (raw) =>
  fromWire(raw.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))))
