/** Plugins of a file that share no protocol with their route, or with any route of their service. */
import type { FieldErrors } from '../contract.ts'
import type { Document } from '../document.ts'
import { protocolErrors } from '../plugin-protocols.ts'
import type { Node } from './nodes.ts'

export interface Mismatch {
  readonly node: Node
  readonly errors: FieldErrors
}

/** Asked of plugins for which the file gives protocols, as the Admin API asks it of those that are written one by one. */
export function protocolMismatches(documents: ReadonlyMap<Node, Document>): Mismatch[] {
  const asked = [...documents].filter(
    ([{ definition, given }]) => definition.subschemas === 'plugins' && Array.isArray(given['protocols']),
  )
  if (asked.length === 0) return []
  const routes = [...documents].flatMap(([{ definition }, document]) =>
    definition.kind === 'routes' ? [document] : [],
  )
  const byId = Map.groupBy(routes, ({ id }) => id)
  const byService = Map.groupBy(routes, (route) => idIn(route['service']))
  return asked.flatMap(([node, plugin]) => {
    const [route, service] = [idIn(plugin['route']), idIn(plugin['service'])]
    const its = route !== null ? byId.get(route) : service !== null ? byService.get(service) : []
    const errors = protocolErrors(plugin, its ?? [])
    return errors === null ? [] : [{ node, errors }]
  })
}

function idIn(reference: unknown): string | null {
  return (reference as { readonly id?: string } | null | undefined)?.id ?? null
}
