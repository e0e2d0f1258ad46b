/** A plugin runs only where its protocols are spoken: on a route, or on a service with routes, at least one has to be shared. */
import type { FieldErrors } from './contract.ts'
import type { Document } from './document.ts'

/**
 * What is wrong with the protocols of a plugin, given its route, or the routes of its service; null when nothing is. Kong asks
 * this of a plugin only when the client gave protocols, or moves the plugin; a service without routes takes any plugin.
 */
export function protocolErrors(plugin: Document, routes: readonly Document[]): FieldErrors | null {
  const spoken = new Set(routes.flatMap((route) => listOf(route)))
  if (routes.length === 0 || listOf(plugin).some((protocol) => spoken.has(protocol))) return null
  if (plugin['route'] !== null) return { protocols: "must match the associated route's protocols" }
  if (plugin['service'] === null) return null
  return { protocols: "must match the protocols of at least one route pointing to this Plugin's service" }
}

function listOf({ protocols }: Document): readonly unknown[] {
  return Array.isArray(protocols) ? protocols : []
}
