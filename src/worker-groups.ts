import type { Document } from '#model/document.ts'
import type { ConsumerGroup } from '#pdk/exchange.ts'
import type { SnapshotCompiler } from '#snapshot/compiler.ts'
import type { EntityCache } from '#snapshot/entity-cache.ts'

/** The groups of a consumer: the memberships are looked up, the groups are held. */
export function groupsOf(
  consumerId: string,
  cache: EntityCache,
  compiler: SnapshotCompiler,
): readonly ConsumerGroup[] | Promise<readonly ConsumerGroup[]> {
  const named = (memberships: readonly Document[]): ConsumerGroup[] =>
    memberships.flatMap((membership) => {
      const group = compiler.document('consumer_groups', (membership['consumer_group'] as { id: string }).id)
      return group === undefined ? [] : [{ id: group.id, name: group['name'] as string }]
    })
  const memberships = cache.listBy('consumer_group_consumers', 'consumer', consumerId)
  return memberships instanceof Promise ? memberships.then(named) : named(memberships)
}
