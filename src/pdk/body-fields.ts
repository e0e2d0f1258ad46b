/** Request bodies that have fields: forms, JSON objects and multipart forms, read and changed by field name. */
import { encodeArgs, parseArgs, SEVERAL, type Args } from './form.ts'
import { encodeJsonMembers, parseJsonMembers, valueOfJson, type JsonMembers } from './json-members.ts'
import { encodeMultipart, parseMultipart, type Multipart } from './multipart.ts'
import { fromWire, toWire } from './wire-text.ts'

export type BodyFields =
  | { readonly kind: 'form'; readonly args: Args }
  | { readonly kind: 'json'; readonly members: JsonMembers }
  | { readonly kind: 'multipart'; readonly form: Multipart }

/** What kind of fields a body of this type has; null for none. */
export function bodyKind(contentType: string | null): BodyFields['kind'] | null {
  if (contentType === null) return null
  const end = contentType.indexOf(';')
  switch ((end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase()) {
    case 'application/x-www-form-urlencoded':
      return 'form'
    case 'application/json':
      return 'json'
    case 'multipart/form-data':
      return 'multipart'
    default:
      return null
  }
}

/** The fields of a body; null when it has none, or is not what its type says. */
export function parseBody(contentType: string | null, bytes: Buffer): BodyFields | null {
  switch (bodyKind(contentType)) {
    case 'form':
      return { kind: 'form', args: parseArgs(bytes.toString('latin1')) }
    case 'json': {
      const members = parseJsonMembers(bytes)
      return members === null ? null : { kind: 'json', members }
    }
    case 'multipart': {
      const form = parseMultipart(bytes, contentType!)
      return form === null ? null : { kind: 'multipart', form }
    }
    case null:
      return null
  }
}

export function encodeBody(body: BodyFields): Buffer {
  switch (body.kind) {
    case 'form':
      return Buffer.from(encodeArgs(body.args), 'latin1')
    case 'json':
      return encodeJsonMembers(body.members)
    case 'multipart':
      return encodeMultipart(body.form)
  }
}

/** The text of a field: null when it is absent or holds no text, SEVERAL when it has more than one value. */
export function findField(body: BodyFields, name: string): string | typeof SEVERAL | null {
  switch (body.kind) {
    case 'form': {
      const values = body.args.get(toWire(name)) ?? []
      if (values.length > 1) return SEVERAL
      return typeof values[0] === 'string' ? fromWire(values[0]) : null
    }
    case 'json': {
      const raw = body.members.get(name)
      const value = raw === undefined ? null : valueOfJson(raw)
      if (typeof value === 'object' && value !== null) return SEVERAL
      return typeof value === 'string' ? value : null
    }
    case 'multipart': {
      const wireName = toWire(name)
      const parts = body.form.parts.filter((part) => part.name === wireName)
      if (parts.length > 1) return SEVERAL
      return parts.length === 1 ? fromWire(parts[0]!.body) : null
    }
  }
}

/** Removes every value of a field and says whether there was one. */
export function removeField(body: BodyFields, name: string): boolean {
  switch (body.kind) {
    case 'form':
      return body.args.delete(toWire(name))
    case 'json':
      return body.members.delete(name)
    case 'multipart': {
      const wireName = toWire(name)
      const before = body.form.parts.length
      body.form.parts = body.form.parts.filter((part) => part.name !== wireName)
      return body.form.parts.length < before
    }
  }
}
