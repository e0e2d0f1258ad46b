/** Settings in the environment: `MERIDIAN_<KEY>`, else `KONG_<KEY>`. */
export const ENVIRONMENT_PREFIXES = ['MERIDIAN_', 'KONG_'] as const

export interface EnvironmentEntry {
  readonly key: string
  readonly value: string
  /** The whole name of the variable. */
  readonly variable: string
}

/** Variables of the command line itself (`cli/`), which are no settings. */
const NOT_SETTINGS = new Set(['MERIDIAN_CONF', 'MERIDIAN_ADMIN_URL', 'MERIDIAN_ADMIN_TOKEN'])

/**
 * The variables that may be settings, ours before Kong's. Empty ones count as not given, because compose files write
 * `KONG_X: ${X:-}` for 'nothing'.
 */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): EnvironmentEntry[] {
  const entries: EnvironmentEntry[] = []
  for (const prefix of ENVIRONMENT_PREFIXES) {
    for (const variable of Object.keys(environment).toSorted()) {
      const value = environment[variable]?.trim() ?? ''
      if (!variable.startsWith(prefix) || value === '' || NOT_SETTINGS.has(variable)) continue
      entries.push({ key: variable.slice(prefix.length).toLowerCase(), value, variable })
    }
  }
  return entries
}

/**
 * Whether Docker or Kubernetes made the variable for a service that happens to be called like the gateway
 * (`KONG_PORT_8000_TCP_ADDR`, `MERIDIAN_ADMIN_SERVICE_HOST`): nobody meant it as a setting.
 */
export function isServiceLink({ key, value }: EnvironmentEntry): boolean {
  if (/(^|_)port_\d+_(tcp|udp|sctp)(_(proto|port|addr))?$/.test(key)) return true
  if (/(^|_)service_(host|port(_[a-z0-9_]+)?)$/.test(key)) return true
  if (/(^|_)(name|env_[a-z0-9_]+)$/.test(key) && value.startsWith('/')) return true
  return /(^|_)port$/.test(key) && /^(tcp|udp|sctp):\/\//.test(value)
}
