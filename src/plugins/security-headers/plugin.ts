/** Tells browsers what pages and other origins may do with responses, and keeps from clients what the upstream is made of. */
import { definePlugin, FieldName, type Exchange } from '#pdk'
import { FIELDS, HEADERS, PRESETS, type PolicyField } from './fields.ts'
import { wrongContentPolicy, wrongPermissionsPolicy, wrongPreload, wrongReferrerPolicy } from './policies.ts'
import { schema, type Config } from './schema.ts'

interface Policy {
  readonly field: FieldName
  readonly value: string
}

interface State {
  readonly policies: readonly Policy[]
  /** Null for none. Over plain HTTP it must not be sent (RFC 6797 7.2). */
  readonly transport: Policy | null
  readonly removed: readonly FieldName[]
  readonly hidesServer: boolean
  readonly keepsExisting: boolean
}

const FORWARDED_PROTO = new FieldName('X-Forwarded-Proto')

const CHECKS: Partial<Record<PolicyField, (value: string) => string | null>> = {
  content_security_policy: wrongContentPolicy,
  referrer_policy: wrongReferrerPolicy,
  permissions_policy: wrongPermissionsPolicy,
}

export const securityHeaders = definePlugin({
  schema,

  refuse(config) {
    for (const [field, wrong] of Object.entries(CHECKS)) {
      const value = config[field as PolicyField]
      const message = typeof value === 'string' ? wrong(value) : null
      if (message !== null) return { field, message }
    }
    const transport = config.strict_transport_security
    const message = transport === null ? null : wrongPreload(transport)
    return message === null ? null : { field: 'strict_transport_security.preload', message }
  },

  prepare(config): State {
    const policies: Policy[] = []
    let transport: Policy | null = null
    const omitted = new Set<string>(config.omit)
    const reported = new Set<string>(config.report_only)
    for (const field of FIELDS) {
      const value = valueOf(config, field)
      if (value === null || omitted.has(field)) continue
      const policy = { field: new FieldName(HEADERS[field] + (reported.has(field) ? '-Report-Only' : '')), value }
      if (field === 'strict_transport_security') transport = policy
      else policies.push(policy)
    }
    return {
      policies,
      transport,
      removed: config.remove.map((name) => new FieldName(name)),
      hidesServer: config.remove.some((name) => name.toLowerCase() === 'server'),
      keepsExisting: config.existing === 'keep',
    }
  },

  responseHeaders(exchange, { policies, transport, removed, hidesServer, keepsExisting }) {
    const { headers } = exchange.response
    for (let i = 0; i < removed.length; i++) removed[i]!.remove(headers)
    if (hidesServer) exchange.response.hidesServer = true
    for (let i = 0; i < policies.length; i++) {
      const { field, value } = policies[i]!
      if (!keepsExisting || !field.has(headers)) field.set(headers, value)
    }
    if (transport !== null && isSecure(exchange) && (!keepsExisting || !transport.field.has(headers)))
      transport.field.set(headers, transport.value)
  },
})

function valueOf(config: Config, field: PolicyField): string | null {
  const preset = PRESETS[config.preset]?.[field] ?? null
  if (field === 'strict_transport_security') {
    const policy = config.strict_transport_security
    if (policy === null) return preset
    const subdomains = policy.include_subdomains ? '; includeSubDomains' : ''
    return `max-age=${policy.max_age}${subdomains}${policy.preload ? '; preload' : ''}`
  }
  if (field === 'reporting_endpoints') {
    const endpoints = Object.entries(config.reporting_endpoints ?? {})
    return endpoints.length === 0 ? null : endpoints.map(([name, url]) => `${name}="${new URL(url).href}"`).join(', ')
  }
  return config[field] ?? preset
}

/** Whether the client came by TLS, to us or to a proxy before us that is trusted. */
function isSecure({ request }: Exchange): boolean {
  const forwarded = request.isTrusted ? FORWARDED_PROTO.get(request.headers) : null
  return (forwarded ?? request.scheme) === 'https'
}
