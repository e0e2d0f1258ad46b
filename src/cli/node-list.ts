/** The nodes as the Admin API lists them, and what several commands print of them. */

export interface ListedNode {
  readonly node_id: string
  readonly hostname: string
  readonly is_self: boolean
  /** ready, starting, draining, down, unknown. */
  readonly state: string
  readonly address: string | null
  /** -1 while a worker has none. */
  readonly revision: number
  readonly lag: number
  readonly version: string
  readonly workers: number
  readonly requests_per_second: number
  readonly started_at: string | null
}

export interface NodeList {
  readonly revision: number
  readonly data_centers: readonly { readonly name: string; readonly nodes: readonly ListedNode[] }[]
}

/** As `nodetool status` has it: whether the node is up, then its state. */
const LETTERS: Readonly<Record<string, string>> = {
  ready: 'UN',
  starting: 'US',
  draining: 'UD',
  down: 'D-',
  unknown: '?-',
}

export const LEGEND = ['Status=Up/Down/?=not known', '|/ State=Normal/Starting/Draining']

export const COLUMNS = ['--', 'Address', 'Revision', 'Lag', 'Load', 'Workers', 'Version', 'Host', 'Node']

export function cellsOf(node: ListedNode): string[] {
  return [
    LETTERS[node.state] ?? '??',
    node.address ?? '-',
    node.revision < 0 ? '-' : String(node.revision),
    String(node.lag),
    `${node.requests_per_second} req/s`,
    String(node.workers),
    node.version,
    node.hostname,
    node.node_id,
  ]
}
