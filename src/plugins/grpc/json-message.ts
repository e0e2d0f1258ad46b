/** Messages from JSON and back: the JSON mapping of Protocol Buffers, with field names as the file has them and numbers for what fits one. */
import type { Enum, Field, MapField, Type } from 'protobufjs'

/** What is wrong with the JSON, with the field's name. */
export class JsonMismatch extends Error {}

/** Deeper messages are refused. */
const DEEPEST = 64
const WHOLE_32 = new Set(['int32', 'uint32', 'sint32', 'fixed32', 'sfixed32'])
const WHOLE_64 = new Set(['int64', 'uint64', 'sint64', 'fixed64', 'sfixed64'])
const UNSIGNED = new Set(['uint32', 'fixed32', 'uint64', 'fixed64'])
const TIMESTAMP = '.google.protobuf.Timestamp'

/**
 * The message's bytes. Names that the type has not are left out, as Kong does; `null` is an absent field. Throws `JsonMismatch`.
 * A single value may stand for a list of one, as in a query.
 */
export function encodeJson(type: Type, json: unknown): Buffer {
  const message = messageOf(type, json, '', 0)
  return Buffer.from(type.encode(message as never).finish())
}

/** JSON text of a message. Throws when the bytes are none of this type. */
export function decodeJson(type: Type, bytes: Buffer): string {
  return JSON.stringify(jsonOf(type, type.decode(bytes) as unknown as Message))
}

type Message = Readonly<Record<string, unknown>>

// ---- from JSON

function messageOf(type: Type, json: unknown, at: string, depth: number): Record<string, unknown> {
  if (depth > DEEPEST) throw mismatch(at, `at most ${DEEPEST} levels`, 'more')
  if (type.fullName === TIMESTAMP && typeof json === 'string') return timestampOf(json, at)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw mismatch(at, 'an object', json)
  const message: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(json)) {
    const field = fieldOf(type, name)
    if (field === undefined || value === null || value === undefined) continue
    message[field.name] = fieldValue(field.resolve(), value, at === '' ? name : `${at}.${name}`, depth)
  }
  return message
}

/** By the name in the file, or by that of JSON (`someName` for `some_name`). */
function fieldOf(type: Type, name: string): Field | undefined {
  if (Object.hasOwn(type.fields, name)) return type.fields[name]
  const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return Object.hasOwn(type.fields, snake) ? type.fields[snake] : undefined
}

function fieldValue(field: Field, value: unknown, at: string, depth: number): unknown {
  if (field.map) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw mismatch(at, 'an object', value)
    const entries: Record<string, unknown> = {}
    for (const [key, member] of Object.entries(value)) {
      scalarOf(keyTypeOf(field), key, `${at}.${key}`)
      Object.defineProperty(entries, key, {
        value: single(field, member, `${at}.${key}`, depth),
        enumerable: true,
      })
    }
    return entries
  }
  if (!field.repeated) return single(field, value, at, depth)
  const list = Array.isArray(value) ? (value as readonly unknown[]) : [value]
  return list.map((one, index) => single(field, one, `${at}[${index}]`, depth))
}

/** Of a map's field. */
function keyTypeOf(field: Field): string {
  return (field as unknown as MapField).keyType
}

function single(field: Field, value: unknown, at: string, depth: number): unknown {
  const { resolvedType } = field
  if (resolvedType === null) return scalarOf(field.type, value, at)
  if ('values' in resolvedType) return enumOf(resolvedType, value, at)
  return messageOf(resolvedType, value, at, depth + 1)
}

function enumOf({ values, valuesById }: Enum, value: unknown, at: string): number {
  if (typeof value === 'string' && Object.hasOwn(values, value)) return values[value]!
  const number = typeof value === 'string' && /^-?\d{1,10}$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && Number.isInteger(number) && Math.abs(number) < 2 ** 31) return number
  throw mismatch(at, `one of ${Object.values(valuesById).join(', ')}`, value)
}

/** From JSON, or from a text that stood in a path or a query. */
function scalarOf(type: string, value: unknown, at: string): unknown {
  if (WHOLE_32.has(type)) return whole32(type, value, at)
  if (WHOLE_64.has(type)) return whole64(type, value, at)
  switch (type) {
    case 'string':
      if (typeof value === 'string') return value
      throw mismatch(at, 'a text', value)
    case 'bool':
      if (typeof value === 'boolean') return value
      if (value === 'true' || value === 'false') return value === 'true'
      throw mismatch(at, 'true or false', value)
    case 'bytes':
      if (typeof value === 'string' && /^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) return Buffer.from(value, 'base64')
      throw mismatch(at, 'a text in base64', value)
    default:
      return fraction(value, at)
  }
}

function whole32(type: string, value: unknown, at: string): number {
  const number = typeof value === 'string' && /^-?\d{1,10}$/.test(value) ? Number(value) : value
  const [least, most] = UNSIGNED.has(type) ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1]
  if (typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most) return number
  throw mismatch(at, `a whole number from ${least} to ${most}`, value)
}

/** As decimal text, which protobufjs takes without losing digits. */
function whole64(type: string, value: unknown, at: string): unknown {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value
  if (typeof text === 'string' && /^-?\d{1,20}$/.test(text)) {
    const [least, most] = UNSIGNED.has(type) ? [0n, 2n ** 64n - 1n] : [-(2n ** 63n), 2n ** 63n - 1n]
    const number = BigInt(text)
    if (number >= least && number <= most) return halvesOf(number, UNSIGNED.has(type))
  }
  throw mismatch(at, 'a whole number of 64 bits', value)
}

/** The form in which protobufjs keeps 64 bits. */
interface Halves {
  readonly low: number
  readonly high: number
  readonly unsigned: boolean
}

function halvesOf(number: bigint, unsigned: boolean): Halves {
  return { low: Number(BigInt.asIntN(32, number)), high: Number(BigInt.asIntN(32, number >> 32n)), unsigned }
}

function fraction(value: unknown, at: string): number {
  if (typeof value === 'number') return value
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value)
  if (typeof value === 'string' && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value)) return Number(value)
  throw mismatch(at, 'a number', value)
}

function timestampOf(text: string, at: string): Record<string, unknown> {
  const found = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/i.exec(text)
  const ms = found === null ? Number.NaN : Date.parse(`${found[1]!}${found[3]!}`)
  if (found === null || Number.isNaN(ms)) throw mismatch(at, 'a time such as 2030-01-01T00:00:00Z', text)
  return { seconds: halvesOf(BigInt(ms) / 1000n, false), nanos: Number((found[2] ?? '').padEnd(9, '0')) }
}

function mismatch(at: string, expected: string, value: unknown): JsonMismatch {
  const shown =
    typeof value === 'object'
      ? Array.isArray(value)
        ? 'a list'
        : value === null
          ? 'null'
          : 'an object'
      : JSON.stringify(value)
  return new JsonMismatch(`${at === '' ? 'body' : at}: expected ${expected}, got ${shown.slice(0, 100)}`)
}

// ---- to JSON

/** Fields without presence are there with their default, as in Kong. */
function jsonOf(type: Type, message: Message): unknown {
  if (type.fullName === TIMESTAMP) return timeOf(message)
  const json: Record<string, unknown> = {}
  for (const field of type.fieldsArray) {
    const { name } = field.resolve()
    const has = Object.hasOwn(message, name)
    if (field.map) json[name] = mapOf(field, (message[name] ?? {}) as Message)
    else if (field.repeated) json[name] = ((message[name] ?? []) as readonly unknown[]).map((one) => shown(field, one))
    else if (has) json[name] = shown(field, message[name])
    else if (!hasPresence(field)) json[name] = shown(field, field.defaultValue)
  }
  return json
}

/** Whether it can be told that the field is absent: messages, members of a oneof, `optional`. */
function hasPresence(field: Field): boolean {
  const { resolvedType } = field
  return (resolvedType !== null && !('values' in resolvedType)) || field.partOf !== null
}

function mapOf(field: Field, entries: Message): Record<string, unknown> {
  const json: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  const isWide = WHOLE_64.has(keyTypeOf(field))
  for (const [key, value] of Object.entries(entries))
    json[isWide ? wideKey(key, UNSIGNED.has(keyTypeOf(field))) : key] = shown(field, value)
  return json
}

/** Keys of 64 bits come as their eight bytes, the lowest first, a character each. */
function wideKey(key: string, unsigned: boolean): string {
  const bits = Buffer.from(key, 'latin1').readBigUInt64LE()
  return (unsigned ? bits : BigInt.asIntN(64, bits)).toString()
}

function shown(field: Field, value: unknown): unknown {
  const { resolvedType } = field
  if (resolvedType !== null)
    return 'values' in resolvedType
      ? (resolvedType.valuesById[value as number] ?? value)
      : jsonOf(resolvedType, value as Message)
  if (field.type === 'bytes') return Buffer.from(value as Uint8Array).toString('base64')
  if (typeof value === 'object' && value !== null) return numberOf(value as Halves)
  // JSON has no such numbers.
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}

/** A number while that is exact, else its digits. */
function numberOf(halves: Halves): number | string {
  const exact = bigOf(halves)
  const number = Number(exact)
  return Number.isSafeInteger(number) ? number : exact.toString()
}

function bigOf({ low, high, unsigned }: Halves): bigint {
  const bits = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
  return unsigned ? bits : BigInt.asIntN(64, bits)
}

function timeOf({ seconds, nanos }: Message): string {
  const whole = typeof seconds === 'number' ? seconds : seconds === undefined ? 0 : Number(bigOf(seconds as Halves))
  const date = new Date(whole * 1000)
  if (Number.isNaN(date.getTime())) return '0001-01-01T00:00:00Z'
  const fractionText = String((nanos as number | undefined) ?? 0)
    .padStart(9, '0')
    .replace(/(?:000)+$/, '')
  return `${date.toISOString().slice(0, 19)}${fractionText === '' ? '' : `.${fractionText}`}Z`
}
