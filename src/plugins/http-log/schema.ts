import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `http-log` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'http-log',
  priority: 12,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['log'],
  config: {
    http_endpoint: t.url({ required: true, referenceable: true, encrypted: true }),
    method: t.string({ default: 'POST', one_of: ['POST', 'PUT', 'PATCH'] }),
    content_type: t.string({
      default: 'application/json',
      one_of: ['application/json', 'application/json; charset=utf-8'],
    }),
    timeout: t.number({ default: 10000 }),
    keepalive: t.number({ default: 60000 }),
    retry_count: t.integer({ deprecated: { removal_in: '4.0', old_default: 10 } }),
    queue_size: t.integer({ deprecated: { removal_in: '4.0', old_default: 1 } }),
    flush_timeout: t.number({ deprecated: { removal_in: '4.0', old_default: 2 } }),
    headers: t.map(
      t.headerName({
        match_none: [
          { pattern: '^[Hh][Oo][Ss][Tt]$', error: "cannot contain 'Host' header" },
          {
            pattern: '^[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee][n][Gg][Tt][Hh]$',
            error: "cannot contain 'Content-Length' header",
          },
          { pattern: '^[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Tt][Yy][Pp][Ee]$', error: "cannot contain 'Content-Type' header" },
        ],
      }),
      t.string({ referenceable: true }),
    ),
    queue: t.queue({ required: true }),
    custom_fields_by_lua: t.luaCode(),
    custom_fields: t.logFields(),
    ssl_verify: t.boolean({ hidden_unless_set: true }),
  },
  config_rules: { validator: 'http_log_auth' },
})
export type Config = ConfigOf<typeof schema>
