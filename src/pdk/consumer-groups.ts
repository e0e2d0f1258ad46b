/** The groups of a request's consumer. */
import type { Document, EntityReader, Exchange } from './pdk.ts'

export interface Group {
  readonly id: string
  readonly name: string
}

/** Answered at once where everything is known; rejects when the store can't be asked. */
export function groupsOf(exchange: Exchange, entities: EntityReader): readonly Group[] | Promise<readonly Group[]> {
  // Known already where plugins have groups as their scope.
  if (exchange.consumerGroups.length > 0) return exchange.consumerGroups
  const rows = entities.listBy('consumer_group_consumers', 'consumer', exchange.consumer!.id)
  return rows instanceof Promise ? rows.then((found) => named(found, entities)) : named(rows, entities)
}

function named(rows: readonly Document[], entities: EntityReader): readonly Group[] | Promise<readonly Group[]> {
  const found = rows.map((row) => entities.get('consumer_groups', (row['consumer_group'] as { id: string }).id))
  return found.some((one) => one instanceof Promise)
    ? Promise.all(found.map(async (one) => await one)).then(present)
    : present(found as Found[])
}

type Found = Document | null

function present(found: readonly Found[]): readonly Group[] {
  return found
    .filter((one) => one !== null)
    .map((one) => ({ id: one.id, name: one['name'] as string }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
