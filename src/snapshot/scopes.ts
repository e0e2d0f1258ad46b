/** Which configuration of each plugin applies where (Kong: `precedence`). */
import { BucketMap } from '#core/bucket-map.ts'
import type { Plugin as PluginDocument } from '#model/entities/plugin.ts'
import type { PluginInstance } from './plan.ts'

/** What a plan is made for. */
export interface PlanScope {
  /** Id of the workspace whose instances without scope apply. */
  readonly workspace: string
  readonly routeId: string | null
  readonly serviceId: string | null
  readonly consumerId: string | null
  readonly groupIds: readonly string[]
}

type Scoped = PluginDocument & { readonly consumer_group?: { readonly id: string } | null }

const globalKey = (workspace: string) => `global ${workspace}`

/** Plugin instances by where they are attached: immutable, `with` shares what it does not touch. */
export class ScopeIndex {
  /** Instances by the most specific of route, service, consumer, consumer group; else by workspace. */
  readonly #byScope: BucketMap<readonly PluginInstance[]>
  /** Instances that name a consumer or a group: without any, a plan never depends on who asks. */
  readonly consumerScoped: number
  /** Of these, the ones that name a group. */
  readonly groupScoped: number

  constructor(byScope: BucketMap<readonly PluginInstance[]> = new BucketMap(), consumerScoped = 0, groupScoped = 0) {
    this.#byScope = byScope
    this.consumerScoped = consumerScoped
    this.groupScoped = groupScoped
  }

  with(removed: readonly PluginInstance[], added: readonly PluginInstance[]): ScopeIndex {
    const changes = new Map<string, readonly PluginInstance[]>()
    const listOf = (key: string) => changes.get(key) ?? this.#byScope.get(key) ?? []
    let { consumerScoped, groupScoped } = this
    for (const instance of removed) {
      const key = scopeKey(instance)
      changes.set(
        key,
        listOf(key).filter((other) => other.id !== instance.id),
      )
      if (isConsumerScoped(instance.document)) consumerScoped--
      if (isGroupScoped(instance.document)) groupScoped--
    }
    for (const instance of added) {
      const key = scopeKey(instance)
      changes.set(key, [...listOf(key), instance])
      if (isConsumerScoped(instance.document)) consumerScoped++
      if (isGroupScoped(instance.document)) groupScoped++
    }
    return new ScopeIndex(
      this.#byScope.with([...changes].map(([key, list]) => [key, list.length > 0 ? list : undefined] as const)),
      consumerScoped,
      groupScoped,
    )
  }

  /** For each plugin the most specific instance that applies, in no particular order. */
  resolve(scope: PlanScope): PluginInstance[] {
    const best = new Map<string, { instance: PluginInstance; rank: number }>()
    const consider = (key: string | null) => {
      if (key === null) return
      for (const instance of this.#byScope.get(key) ?? []) {
        const rank = rankOf(instance.document, scope)
        if (rank < 0) continue
        const other = best.get(instance.name)
        if (other === undefined || rank > other.rank) best.set(instance.name, { instance, rank })
      }
    }
    consider(scope.routeId)
    consider(scope.serviceId)
    consider(scope.consumerId)
    for (const id of scope.groupIds) consider(id)
    consider(globalKey(scope.workspace))
    return [...best.values()].map(({ instance }) => instance)
  }
}

function scopeKey({ document, workspace }: PluginInstance): string {
  const { route, service, consumer, consumer_group: group } = document as Scoped
  return route?.id ?? service?.id ?? consumer?.id ?? group?.id ?? globalKey(workspace)
}

function isConsumerScoped(document: Scoped): boolean {
  return Boolean(document.consumer) || Boolean(document.consumer_group)
}

function isGroupScoped(document: Scoped): boolean {
  return Boolean(document.consumer_group)
}

/**
 * How specific an instance is for this scope; -1 when it does not apply. Kong's order: consumer with route and service, with route,
 * with service; route and service; consumer; route; service; none. A consumer group stands just below its consumer.
 */
function rankOf(document: Scoped, scope: PlanScope): number {
  const { route, service, consumer, consumer_group: group } = document
  if (route && route.id !== scope.routeId) return -1
  if (service && service.id !== scope.serviceId) return -1
  if (consumer && consumer.id !== scope.consumerId) return -1
  if (group && !scope.groupIds.includes(group.id)) return -1
  const who = consumer ? 2 : group ? 1 : 0
  if (who > 0) {
    if (route && service) return 90 + who
    if (route) return 80 + who
    if (service) return 70 + who
  }
  if (route && service) return 60
  if (who > 0) return 50 + who
  if (route) return 40
  return service ? 30 : 20
}
