/** What is printed when the gateway is ready: where it listens, and what to try first. At most ten lines. */
import type { Settings } from '#model/settings.ts'
import type { Listener } from '#model/settings/listener.ts'
import { urlOf } from './listener-url.ts'

export function banner(version: string, settings: Settings, proxyListeners: readonly Listener[]): string {
  const workers = `${settings.workers} ${settings.workers === 1 ? 'worker' : 'workers'}`
  const store = {
    sqlite: `configuration in ${settings.prefix}`,
    cassandra: 'configuration in Cassandra',
    off: 'configuration from a file or POST /config',
  }[settings.database]
  const lines = [
    `Meridian ${version} is ready: ${workers}, ${store}`,
    `  proxy   ${placesOf(proxyListeners)}`,
    `  admin   ${placesOf(settings.admin_listen)}`,
    `  status  ${placesOf(settings.status_listen)}`,
    ...firstCommands(settings, proxyListeners),
  ]
  return `${lines.join('\n')}\n`
}

function placesOf(listeners: readonly Listener[]): string {
  if (listeners.length === 0) return 'off'
  return listeners.map((listener) => (listener.socketPath === null ? urlOf(listener) : listener.address)).join('  ')
}

/** Three commands that work on a machine without network, because the first service is the gateway's own status page. */
function firstCommands(settings: Settings, proxyListeners: readonly Listener[]): string[] {
  const [proxy, admin, status] = [proxyListeners, settings.admin_listen, settings.status_listen].map((listeners) =>
    listeners.find(({ socketPath, ssl }) => socketPath === null && !ssl),
  )
  if (proxy === undefined || admin === undefined || status === undefined) return []
  if (settings.database === 'off') {
    return ['Try:', `  curl ${urlOf(admin)}/routes`, `  curl -i ${urlOf(proxy)}/`, `  curl ${urlOf(status)}/metrics`]
  }
  return [
    'Try:',
    `  curl ${urlOf(admin)}/services -d name=first -d url=${urlOf(status)}`,
    `  curl ${urlOf(admin)}/services/first/routes -d paths=/first`,
    `  curl -i ${urlOf(proxy)}/first/status`,
  ]
}
