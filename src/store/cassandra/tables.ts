/**
 * The tables of `cql/`, as the store reads and writes them; a test compares the two. Two worlds that never meet in one table: those
 * that lightweight transactions write (their timestamps are the cluster's clock) and projections (their timestamps are revisions).
 */
import type { Table } from './port.ts'

/** Revisions in one partition of the log: with 16 KiB of a row inline at most, a partition stays under 16 MiB. */
export const SEGMENT_REVISIONS = 1024
/** Partitions of the rows of a kind that there may be millions of; of a kind of which every worker holds all. */
export const ENTITY_BUCKETS = 256
export const SMALL_KIND_BUCKETS = 16

/** The partition of all epochs. */
export const CLUSTER = 'cluster'

/**
 * Who may append, and from where on: by lightweight transactions only. The greatest epoch counts. A takeover or a restore begins
 * one; its number is part of every key below, so what two epochs wrote never mixes.
 */
export const EPOCHS: Table = {
  name: 'epochs',
  partition: { cluster: 'text' },
  clustering: { epoch: 'bigint' },
  columns: {
    serial_domain: 'text',
    writing_data_center: 'text',
    base_revision: 'bigint',
    base_hash: 'text',
    base_digests: 'text',
    made_at_ms: 'bigint',
    made_by: 'text',
  },
}

/**
 * The log: one row per revision, by INSERT IF NOT EXISTS only, never changed or deleted. `effects` is null where they are too
 * large for a row; `chunks` then names their parts in `config_payload`.
 */
export const CONFIG_LOG: Table = {
  name: 'config_log',
  partition: { epoch: 'bigint', segment: 'bigint' },
  clustering: { revision: 'bigint' },
  columns: { txid: 'text', entry: 'text', effects: 'text', chunks: 'text' },
}

/** Parts of large effects, by the SHA-256 of their content: written before the row that names them. */
export const CONFIG_PAYLOAD: Table = {
  name: 'config_payload',
  partition: { hash: 'text' },
  clustering: {},
  columns: { content: 'text' },
}

/** Where the log stands for the data center's readers; a projection: its timestamps are revisions. */
export const LOG_STATE: Table = {
  name: 'log_state',
  partition: { epoch: 'bigint', name: 'text' },
  clustering: {},
  columns: { revision: 'bigint', hash: 'text' },
}

/** The state of each entity. A deleted one is a row that says so: a tombstone would be purged, and a late replica would bring the entity back. */
export const ENTITIES: Table = {
  name: 'entities',
  partition: { epoch: 'bigint', kind: 'text', bucket: 'int' },
  clustering: { workspace: 'text', id: 'text' },
  columns: { document: 'text', revision: 'bigint', deleted: 'boolean' },
}

/**
 * Under which names an entity of a kind that there may be millions of is found: a hash of a unique value, or of a reference. A name
 * that an entity no longer has is a row that says so. The partition is that of the name, not of the entity.
 */
export const ENTITY_KEYS: Table = {
  name: 'entity_keys',
  partition: { epoch: 'bigint', kind: 'text', bucket: 'int' },
  clustering: { entry: 'text', id: 'text' },
  columns: { revision: 'bigint', deleted: 'boolean' },
}

/** Nodes that live: each writes its row again and again, with a TTL. */
export const NODES: Table = {
  name: 'nodes',
  partition: { data_center: 'text' },
  clustering: { node_id: 'text' },
  columns: { state: 'text', heartbeat_ms: 'bigint' },
}

/** Short-lived values that are not configuration (`RuntimeStore`). */
export const RUNTIME: Table = {
  name: 'runtime',
  partition: { space: 'text', key: 'text' },
  clustering: {},
  columns: { value: 'text', expires_at_ms: 'bigint' },
}

/** Rate-limit counters: each running node overwrites its own row; the sum over the rows of a key and window only grows. */
export const COUNTERS: Table = {
  name: 'counters',
  partition: { key: 'text', window_start: 'bigint' },
  clustering: { incarnation: 'text' },
  columns: { count: 'bigint' },
}

export const TABLES: readonly Table[] = [
  EPOCHS,
  CONFIG_LOG,
  CONFIG_PAYLOAD,
  LOG_STATE,
  ENTITIES,
  NODES,
  RUNTIME,
  COUNTERS,
  ENTITY_KEYS,
]
