/** Routes that are stored but not served by this node: the start, `/status` and the Admin API say so. */
import type { Route } from '#model/entities/route.ts'
import { unservedProtocols } from '#model/unserved-protocols.ts'
import type { Publisher } from '#snapshot/publisher.ts'
import type { Position } from '#store/follower.ts'

/** Routes that a warning names. */
const NAMED = 5

/** Of each position, because `/status` is asked for again and again. */
const SENTENCES = new WeakMap<Position, string | null>()

/** A sentence on them, or null when every route is served. */
export function unservedRoutes(publisher: Publisher, servesStreams: boolean): string | null {
  const { position } = publisher
  let sentence = SENTENCES.get(position)
  if (sentence === undefined) SENTENCES.set(position, (sentence = sentenceOf(publisher, servesStreams)))
  return sentence
}

function sentenceOf(publisher: Publisher, servesStreams: boolean): string | null {
  const unserved = publisher.held('routes').flatMap(({ document }) => {
    const route = document as unknown as Route
    return unservedProtocols('routes', document!, servesStreams).length === route.protocols.length ? [route] : []
  })
  if (unserved.length === 0) return null
  const names = unserved.slice(0, NAMED).map((route) => `${route.name ?? route.id} (${route.protocols.join(', ')})`)
  const rest = unserved.length > NAMED ? ` and ${unserved.length - NAMED} more` : ''
  return `stream_listen is off, so routes for tcp, tls and udp are not served: ${names.join(', ')}${rest}`
}
