/** Validators of plugin configurations. */
import { shownNumber } from './messages.ts'
import { isRecord, type Values } from './record.ts'
import { splitUrl } from './service-url.ts'
import type { Validator } from './validators.ts'

const PERIODS = ['second', 'minute', 'hour', 'day', 'month', 'year']

export const pluginValidators: Readonly<Record<string, Validator>> = {
  oauth2_flows(config: Values) {
    const flags = [
      'enable_authorization_code',
      'enable_implicit_grant',
      'enable_client_credentials',
      'enable_password_grant',
    ]
    if (flags.some((flag) => config[flag] === true)) return null
    return `at least one of these fields must be true: ${flags.join(', ')}`
  },
  period_order(config: Values) {
    const wrong = outOfOrder(config, 'The')
    if (wrong !== null) return wrong
    const rate = config['sync_rate']
    if (typeof rate !== 'number' || rate === -1) return null
    if (config['policy'] !== 'redis') return 'sync_rate can only be used with the redis policy'
    return rate >= 0.02 ? null : 'sync_rate must be greater than 0.02, or -1 to disable'
  },
  period_order_response: (limit: Values) => outOfOrder(limit, 'the'),
  zipkin_static_tags(tags: readonly Values[]) {
    const names = new Set<unknown>()
    for (const { name } of tags) {
      if (names.has(name)) return `repeated tags are not allowed: ${String(name)}`
      names.add(name)
    }
    return null
  },
  request_termination(config: Values) {
    const { message, content_type: contentType, body, echo } = config
    const isSet = (value: unknown): boolean => value !== null && value !== undefined
    if (isSet(message) && (isSet(contentType) || isSet(body))) return 'message cannot be used with content_type or body'
    if (isSet(contentType) && !isSet(body)) return 'content_type requires a body'
    return echo === true && (isSet(contentType) || isSet(body))
      ? 'echo cannot be used with content_type and body'
      : null
  },
  http_log_auth(config: Values) {
    const { http_endpoint: endpoint, headers } = config
    if (typeof endpoint !== 'string' || !isRecord(headers) || splitUrl(endpoint).userinfo === null) return null
    const hasHeader = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')
    return hasHeader
      ? "specifying both an 'Authorization' header and user info in 'http_endpoint' is not allowed"
      : null
  },
  otel_resource_attributes(attributes: Values) {
    for (const value of Object.values(attributes)) {
      if (!['string', 'number', 'boolean'].includes(typeof value)) return `invalid type of value: ${typeof value}`
      if (value === '') return 'required field missing'
    }
    return null
  },
  acme_namespace(value: string) {
    const word = ['kong_acme:renew_config:', 'kong_acme:renew_last_run', 'kong_acme:cert_key:'].find((prefix) =>
      value.startsWith(prefix),
    )
    return word === undefined ? null : `namespace can't be prefixed with reserved word: ${word}`
  },
  // Shared memory zones are made by this gateway when they are used: they always exist.
  shared_dict_prometheus: () => null,
  acme_shm_exists: () => null,
}

/** A longer period may not have the lower limit. */
function outOfOrder(limits: Values, article: string): string | null {
  let lower: string | null = null
  for (const period of PERIODS) {
    const limit = limits[period]
    if (typeof limit !== 'number') continue
    const least = lower === null ? -Infinity : (limits[lower] as number)
    if (limit < least) {
      return `${article} limit for ${period}(${fraction(limit)}) cannot be lower than the limit for ${lower!}(${fraction(least)})`
    }
    lower = period
  }
  return null
}

/** Kong shows limits with one digit behind the point. */
function fraction(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : shownNumber(value)
}
