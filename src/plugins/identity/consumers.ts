/** The consumer that a claim names. */
import type { Document, EntityReader } from '#pdk'

export type ConsumerField = 'id' | 'username' | 'custom_id'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Looks in the fields in their order; rejects when the store can't be asked. */
export function findConsumer(
  entities: EntityReader,
  value: string,
  by: readonly ConsumerField[],
  from = 0,
): Document | null | Promise<Document | null> {
  for (let at = from; at < by.length; at++) {
    const field = by[at]!
    // A text that is no id is nobody's.
    if (field === 'id' && !UUID.test(value)) continue
    const found = field === 'id' ? entities.get('consumers', value) : entities.lookup('consumers', field, value)
    if (found instanceof Promise) return found.then((one) => one ?? findConsumer(entities, value, by, at + 1))
    if (found !== null) return found
  }
  return null
}
