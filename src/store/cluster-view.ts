/** What a node knows of the nodes that follow the same configuration, itself included. */

/**
 * What a node says of itself. It is written as JSON and read by nodes of other versions: fields are added, never given another
 * meaning.
 */
export interface NodeState {
  /** Made anew at each start: two processes with one node id can be told apart by it. */
  readonly incarnation: string
  readonly hostname: string
  readonly version: string
  /** `all`: it proxies, and has the Admin API over the cluster's log. */
  readonly role: string
  /** As host:port where others reach it, else where it listens; null where it listens on no port. */
  readonly address: string | null
  readonly admin_address: string | null
  readonly proxy_address: string | null
  /** The newest revision that its main thread holds, and that entry's hash. */
  readonly applied_revision: number
  readonly hash: string
  /** The epoch of the cluster's log that it follows; 0 where there is none, and while that is not known. */
  readonly epoch: number
  /** The lowest revision over its workers; -1 while one has none yet. */
  readonly serving_revision: number
  readonly ready: boolean
  readonly draining: boolean
  /** Said last by a node that ends in order. */
  readonly stopped: boolean
  readonly workers: number
  readonly requests_per_second: number
  readonly started_at_ms: number
  readonly understands: Understood
}

/** What of the log the version of a node can read. A writer keeps to what all understand. */
export interface Understood {
  /** Formats of an entry. */
  readonly entry_formats: readonly number[]
  /** Kinds of entities. */
  readonly kinds: readonly string[]
}

/** Forms of log entries that this version reads; an entry without `format` is of the first. */
export const ENTRY_FORMATS: readonly number[] = [1]
/** The one that it writes. */
export const WRITTEN_FORMAT = 1

/** `unknown`: the rows of its data center can't be read now, so nobody here knows. */
export type NodeStatus = 'up' | 'down' | 'unknown'
/** Everything that a node can be, as seen from here: what it says of itself while it is up. */
export const CONDITIONS = ['ready', 'starting', 'draining', 'down', 'unknown'] as const
export type Condition = (typeof CONDITIONS)[number]

export interface NodeView extends NodeState {
  readonly node_id: string
  readonly data_center: string
  readonly is_self: boolean
  readonly status: NodeStatus
}

export interface ClusterView {
  readonly dataCenters: readonly string[]
  /** By data center and id. Costs no I/O; of other nodes it is as old as the last look at their rows. */
  nodes(): readonly NodeView[]
  /** Looks soon instead of at the usual time: somebody waits for news of other nodes. */
  wake(): void
}

export function conditionOf({ status, draining, ready }: Pick<NodeView, 'status' | 'draining' | 'ready'>): Condition {
  if (status !== 'up') return status
  return draining ? 'draining' : ready ? 'ready' : 'starting'
}

/**
 * Why an entry with these kinds must not be written yet: the first node, of those that may be following, that said it can't read
 * it. Null when none did; a node that says nothing of what it reads is not counted.
 */
export function whoCannotRead(nodes: readonly NodeView[], kinds: Iterable<string>): string | null {
  const wanted = [...new Set(kinds)]
  for (const { status, is_self, node_id, hostname, version, understands } of nodes) {
    if (is_self || status === 'down') continue
    const { entry_formats, kinds: known } = understands
    const kind = known.length === 0 ? undefined : wanted.find((one) => !known.includes(one))
    const isFormatKnown = entry_formats.length === 0 || entry_formats.includes(WRITTEN_FORMAT)
    if (kind === undefined && isFormatKnown) continue
    const what = kind === undefined ? `log entries of format ${WRITTEN_FORMAT}` : kind
    return `node ${node_id} (${hostname}, version ${version}) does not know ${what}`
  }
  return null
}

/** The data center of a node whose configuration is its own. */
const OWN_DATA_CENTER = 'local'

/** A configuration that only this node follows. */
export function singleNodeView(nodeId: string, state: () => NodeState): ClusterView {
  return {
    dataCenters: [OWN_DATA_CENTER],
    nodes: () => [{ ...state(), node_id: nodeId, data_center: OWN_DATA_CENTER, is_self: true, status: 'up' }],
    wake: () => {},
  }
}

/** What another node wrote, of whatever version: what is missing or of another type is nothing that is known. */
export function parseNodeState(text: string): NodeState {
  const said = jsonObject(text)
  const understands = objectOf(said['understands'])
  return {
    incarnation: textOf(said['incarnation']) ?? '',
    hostname: textOf(said['hostname']) ?? '',
    version: textOf(said['version']) ?? '',
    role: textOf(said['role']) ?? '',
    address: textOf(said['address']),
    admin_address: textOf(said['admin_address']),
    proxy_address: textOf(said['proxy_address']),
    applied_revision: numberOf(said['applied_revision']) ?? -1,
    hash: textOf(said['hash']) ?? '',
    epoch: numberOf(said['epoch']) ?? 0,
    serving_revision: numberOf(said['serving_revision']) ?? -1,
    ready: said['ready'] === true,
    draining: said['draining'] === true,
    stopped: said['stopped'] === true,
    workers: numberOf(said['workers']) ?? 0,
    requests_per_second: numberOf(said['requests_per_second']) ?? 0,
    started_at_ms: numberOf(said['started_at_ms']) ?? 0,
    understands: {
      entry_formats: listOf(understands['entry_formats']).filter((format) => typeof format === 'number'),
      kinds: listOf(understands['kinds']).filter((kind) => typeof kind === 'string'),
    },
  }
}

function jsonObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return objectOf(JSON.parse(text))
  } catch {
    // Somebody wrote by hand; the row still says that there is a node.
    return {}
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}
