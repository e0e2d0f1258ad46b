/** Protocols that entities may have and that this node does not serve: they are stored, and whoever writes them is told. */
import type { Document } from './document.ts'
import { STREAM_PROTOCOLS } from './stream-protocols.ts'

/** The field that says by which protocols traffic comes to, or leaves for, an entity. A plugin's say only where it may run. */
const PROTOCOL_FIELDS: Readonly<Record<string, string>> = { routes: 'protocols', services: 'protocol' }

/** Those of the entity's protocols that are not served, in its own order. `servesStreams`: whether `stream_listen` is on. */
export function unservedProtocols(kind: string, document: Document, servesStreams: boolean): readonly string[] {
  if (servesStreams) return []
  const field = Object.hasOwn(PROTOCOL_FIELDS, kind) ? PROTOCOL_FIELDS[kind]! : null
  const value = field === null ? null : document[field]
  return (Array.isArray(value) ? value : [value]).filter((protocol) => STREAM_PROTOCOLS.has(protocol))
}
