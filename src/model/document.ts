/** A stored entity: a JSON object with every field of its definition, `null` where it has no value. */
export interface Document {
  readonly id: string
  readonly [field: string]: unknown
}

/** An entity with what the store knows about it. Entities of kinds that are not `workspaceable` have workspace ''. */
export interface Row {
  readonly kind: string
  readonly workspace: string
  readonly document: Document
  /** The revision that last wrote it. */
  readonly revision: number
}

/** The net effect of a transaction on one entity: its new document, or null when it is gone. */
export interface Change {
  readonly kind: string
  readonly workspace: string
  readonly id: string
  readonly document: Document | null
}

/** The workspace that exists from the start (Kong's fixed id for it in declarative mode). */
export const DEFAULT_WORKSPACE = '0dc6f45b-8f8d-40d2-a504-473544ee190b'

/**
 * Documents of kinds with `ttl` hold here the moment at which they end, in Unix seconds, or null for never. The model writes it
 * and shows it as `ttl`, the seconds left; the store no longer returns a row from that moment on.
 */
export const EXPIRES_AT = 'ttl_expires_at'
