/** By what name services, consumers and workspaces stand in metrics, as a configuration chooses. */
import type { Exchange } from '#pdk'

export type ConsumerIdentifier = 'consumer_id' | 'custom_id' | 'username'
export type ServiceIdentifier = 'service_id' | 'service_name' | 'service_host' | 'service_name_or_host'
export type WorkspaceIdentifier = 'workspace_id' | 'workspace_name'

/** Null for requests without a consumer, and for consumers without such a name. */
export function consumerOf({ consumer }: Exchange, by: ConsumerIdentifier): string | null {
  if (consumer === null) return null
  return by === 'consumer_id' ? consumer.id : by === 'username' ? consumer.username : consumer.custom_id
}

export function serviceOf({ service }: Exchange, by: ServiceIdentifier): string | null {
  if (service === null) return null
  switch (by) {
    case 'service_id':
      return service.id
    case 'service_name':
      return service.name
    case 'service_host':
      return service.host
    case 'service_name_or_host':
      return service.name ?? service.host
  }
}

export function workspaceOf({ workspace }: Exchange, by: WorkspaceIdentifier): string | null {
  return workspace === null ? null : by === 'workspace_id' ? workspace.id : workspace.name
}
