/** Where a request carries its API key, and how the key is taken out again. */
import { FieldName, type Exchange } from '#pdk'
import { bodyKind, encodeBody, findField, parseBody, removeField, type BodyFields } from '#pdk/body-fields.ts'
import { findArg, removeArg, SEVERAL } from '#pdk/form.ts'
import { fromWire } from '#pdk/wire-text.ts'

/** Bodies over this size are not searched for a key: one that big is an upload and no form. */
const BODY_LIMIT_BYTES = 1 << 20

export interface KeyName {
  readonly name: string
  readonly header: FieldName
  /** The same with `-` for `_`: as headers, Kong takes both. Null when that is no other name. */
  readonly dashed: FieldName | null
}

export interface KeyPlaces {
  readonly names: readonly KeyName[]
  readonly inHeader: boolean
  readonly inQuery: boolean
  readonly inBody: boolean
}

export interface FoundKey {
  /** The configured name under which it came. */
  readonly name: KeyName
  readonly text: string
  readonly isRepeated: boolean
}

export function keyNames(names: readonly string[]): KeyName[] {
  return names.map((name) => ({
    name,
    header: new FieldName(name),
    dashed: name.includes('_') ? new FieldName(name.replaceAll('_', '-')) : null,
  }))
}

/** The first name under which there is a key: in the header, else in the query, else in the body. Null when there is none, or it is empty. */
export function findKey(exchange: Exchange, places: KeyPlaces): FoundKey | null | Promise<FoundKey | null> {
  if (places.inBody && hasFields(exchange))
    return readFields(exchange).then((body) => searchAll(exchange, places, body))
  return searchAll(exchange, places, null)
}

function searchAll(exchange: Exchange, places: KeyPlaces, body: BodyFields | null): FoundKey | null {
  for (const name of places.names) {
    const value = search(exchange, places, body, name)
    if (value === SEVERAL) return { name, text: '', isRepeated: true }
    if (typeof value === 'string') return value === '' ? null : { name, text: value, isRepeated: false }
  }
  return null
}

/** `true` is an argument without value: no key, but the places after the query are not looked at. */
function search(
  exchange: Exchange,
  places: KeyPlaces,
  body: BodyFields | null,
  { name, header, dashed }: KeyName,
): string | true | typeof SEVERAL | null {
  if (places.inHeader) {
    const { headers } = exchange.request
    let values = header.getAll(headers)
    if (values.length === 0 && dashed !== null) values = dashed.getAll(headers)
    if (values.length > 1) return SEVERAL
    if (values.length === 1) return fromWire(values[0]!)
  }
  if (places.inQuery) {
    const value = findArg(exchange.request.query, name)
    if (value !== null) return typeof value === 'string' ? fromWire(value) : value
  }
  return body === null ? null : findField(body, name)
}

/** Takes the key out of everything that the upstream gets; a promise when the body has to be changed. */
export function hideKey(
  exchange: Exchange,
  places: KeyPlaces,
  { name, header, dashed }: KeyName,
): Promise<void> | null {
  const { request } = exchange
  header.remove(request.headers)
  dashed?.remove(request.headers)
  request.query = removeArg(request.query, name)
  return places.inBody && hasFields(exchange) ? hideInBody(exchange, name) : null
}

async function hideInBody(exchange: Exchange, name: string): Promise<void> {
  const body = await readFields(exchange)
  if (body !== null && removeField(body, name)) exchange.request.body.replace(encodeBody(body))
}

function hasFields({ request }: Exchange): boolean {
  return request.body.exists && bodyKind(request.headers.get('content-type')) !== null
}

/** The body's fields; null when it has none, is too big, or did not come whole: then no key is found in it. */
async function readFields({ request }: Exchange): Promise<BodyFields | null> {
  const bytes = await request.body.read(BODY_LIMIT_BYTES)
  return Buffer.isBuffer(bytes) ? parseBody(request.headers.get('content-type'), bytes) : null
}
