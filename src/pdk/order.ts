/** The order in which the plugins of a route run: by priority, changed by what an instance's `ordering` says for a phase. */

export interface Ordering {
  /** Names of plugins, by phase, that run after this one. */
  readonly before?: Readonly<Record<string, readonly string[]>> | null
  /** Names of plugins, by phase, that run before this one. */
  readonly after?: Readonly<Record<string, readonly string[]>> | null
}

export interface Orderable {
  readonly name: string
  readonly priority: number
  readonly ordering?: Ordering | null
}

export type OrderResult<T> =
  | { readonly ok: true; readonly order: readonly T[] }
  /** Each of these has to run before the next, and the last before the first. */
  | { readonly ok: false; readonly cycle: readonly string[] }

/**
 * Highest priority first, equal ones by name from z to a, as Kong does. A plugin with an `ordering` goes up to just before those that
 * it has to precede, or waits until just behind those that it has to follow; the others stay in their order. A name that is not there
 * has no effect.
 */
export function orderPlugins<T extends Orderable>(plugins: readonly T[], phase = 'access'): OrderResult<T> {
  const byPriority = plugins.toSorted(compare)
  if (!byPriority.some(({ ordering }) => ordering)) return { ok: true, order: byPriority }
  const nodes = byPriority.map((plugin, rank): Node<T> => ({ plugin, rank, predecessors: [] }))
  link(nodes, phase)
  const order: T[] = []
  const waiting = new Set(nodes)
  while (waiting.size > 0) {
    let next: Node<T> | null = null
    for (const node of waiting) {
      if ((next === null || node.rank < next.rank) && !node.predecessors.some((before) => waiting.has(before)))
        next = node
    }
    if (next === null) return { ok: false, cycle: findCycle(waiting) }
    waiting.delete(next)
    order.push(next.plugin)
  }
  return { ok: true, order }
}

interface Node<T> {
  readonly plugin: T
  /** Place by priority, or that of the first plugin that it has to precede. */
  rank: number
  readonly predecessors: Node<T>[]
}

function compare(one: Orderable, other: Orderable): number {
  if (one.priority !== other.priority) return other.priority - one.priority
  return one.name < other.name ? 1 : one.name > other.name ? -1 : 0
}

function link<T extends Orderable>(nodes: readonly Node<T>[], phase: string): void {
  const precedes: [before: Node<T>, behind: Node<T>][] = []
  for (const node of nodes) {
    const { before, after } = node.plugin.ordering ?? {}
    for (const other of nodes) {
      if (before?.[phase]?.includes(other.plugin.name) === true) {
        other.predecessors.push(node)
        precedes.push([node, other])
      }
      if (after?.[phase]?.includes(other.plugin.name) === true) node.predecessors.push(other)
    }
  }
  // As many rounds as there are plugins, so that a rank gets through a chain of them; a circle ends as well.
  for (const _round of nodes) for (const [node, behind] of precedes) node.rank = Math.min(node.rank, behind.rank)
}

/** Every plugin that waits, waits for one that waits: going from one to the next comes round. */
function findCycle<T extends Orderable>(waiting: ReadonlySet<Node<T>>): string[] {
  const path: Node<T>[] = []
  let [node] = waiting
  while (node !== undefined && !path.includes(node)) {
    path.push(node)
    node = node.predecessors.find((before) => waiting.has(before))
  }
  return path
    .slice(node === undefined ? 0 : path.indexOf(node))
    .toReversed()
    .map(({ plugin }) => plugin.name)
}
