/** How names are looked up, by the settings of the node: the same in every thread. */
import type { Settings } from '#model/settings.ts'
import type { ResolverOptions } from '#upstream/dns/resolver.ts'

export function resolverSettings(settings: Settings): ResolverOptions['settings'] {
  return {
    dns_resolver: settings.dns_resolver.map(({ ip, port }) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)),
    dns_hostsfile: settings.dns_hostsfile,
    dns_order: settings.dns_order,
    dns_timeout: settings.dns_timeout === null ? null : settings.dns_timeout / 1000,
    dns_valid_ttl: settings.dns_valid_ttl === null ? null : settings.dns_valid_ttl / 1000,
    dns_stale_ttl: settings.dns_stale_ttl / 1000,
    dns_not_found_ttl: settings.dns_not_found_ttl / 1000,
    dns_error_ttl: settings.dns_error_ttl / 1000,
    dns_cache_size: settings.dns_cache_size,
  }
}
