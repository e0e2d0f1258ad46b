/** Protocols that entities may have and that this version does not serve: they are stored, and whoever writes them is told. */
import type { Document } from './document.ts'

const UNSERVED: ReadonlySet<unknown> = new Set(['grpc', 'grpcs'])

/** The field that says by which protocols traffic comes to, or leaves for, an entity. A plugin's say only where it may run. */
const PROTOCOL_FIELDS: Readonly<Record<string, string>> = { routes: 'protocols', services: 'protocol' }

/** Those of the entity's protocols that are not served, in its own order. */
export function unservedProtocols(kind: string, document: Document): readonly string[] {
  const field = Object.hasOwn(PROTOCOL_FIELDS, kind) ? PROTOCOL_FIELDS[kind]! : null
  const value = field === null ? null : document[field]
  return (Array.isArray(value) ? value : [value]).filter((protocol) => UNSERVED.has(protocol))
}
