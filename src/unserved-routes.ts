/** Routes that are stored but not served yet: the start, `/status` and the Admin API say so. */
import type { Route } from '#model/entities/route.ts'
import { unservedProtocols } from '#model/unserved-protocols.ts'
import type { Publisher } from '#snapshot/publisher.ts'

/** Routes that a warning names. */
const NAMED = 5

/** A sentence on them, or null when every route is served. */
export function unservedRoutes(publisher: Publisher): string | null {
  const unserved = publisher.held('routes').flatMap(({ document }) => {
    const route = document as unknown as Route
    return unservedProtocols('routes', document!).length === route.protocols.length ? [route] : []
  })
  if (unserved.length === 0) return null
  const names = unserved.slice(0, NAMED).map((route) => `${route.name ?? route.id} (${route.protocols.join(', ')})`)
  const rest = unserved.length > NAMED ? ` and ${unserved.length - NAMED} more` : ''
  return `routes for grpc are stored but not served yet: ${names.join(', ')}${rest}`
}
