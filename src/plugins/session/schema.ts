import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `session` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'session',
  priority: 1900,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['access', 'header_filter'],
  config: {
    secret: t.string({
      required: false,
      auto: true,
      referenceable: true,
      encrypted: true,
    }),
    storage: t.string({ default: 'cookie', one_of: ['cookie', 'kong'] }),
    audience: t.string({ default: 'default' }),
    idling_timeout: t.number({ default: 900 }),
    rolling_timeout: t.number({ default: 3600 }),
    absolute_timeout: t.number({ default: 86400 }),
    stale_ttl: t.number({ default: 10 }),
    cookie_name: t.string({ default: 'session' }),
    cookie_path: t.string({ default: '/' }),
    cookie_domain: t.string(),
    cookie_same_site: t.string({ default: 'Strict', one_of: ['Strict', 'Lax', 'None', 'Default'] }),
    cookie_http_only: t.boolean({ default: true }),
    cookie_secure: t.boolean({ default: true }),
    remember: t.boolean({ default: false }),
    remember_cookie_name: t.string({ default: 'remember' }),
    remember_rolling_timeout: t.number({ default: 604800 }),
    remember_absolute_timeout: t.number({ default: 2592000 }),
    response_headers: t.set(
      t.string({
        one_of: ['id', 'audience', 'subject', 'timeout', 'idling-timeout', 'rolling-timeout', 'absolute-timeout'],
      }),
    ),
    request_headers: t.set(
      t.string({
        one_of: ['id', 'audience', 'subject', 'timeout', 'idling-timeout', 'rolling-timeout', 'absolute-timeout'],
      }),
    ),
    read_body_for_logout: t.boolean({ default: false }),
    logout_methods: t.set(t.string({ one_of: ['GET', 'POST', 'DELETE'] }), { default: ['POST', 'DELETE'] }),
    logout_query_arg: t.string({ default: 'session_logout' }),
    logout_post_arg: t.string({ default: 'session_logout' }),
  },
  shorthand_fields: {
    cookie_lifetime: t.number({ maps: { sets: ['rolling_timeout'] } }),
    cookie_idletime: t.number({ maps: { sets: ['idling_timeout'], null_becomes: 0 } }),
    cookie_renew: t.number({ maps: { sets: [], note: 'accepted and ignored' } }),
    cookie_discard: t.number({ maps: { sets: ['stale_ttl'] } }),
    cookie_samesite: t.string({ maps: { sets: ['cookie_same_site'], value_map: { off: 'Lax' } } }),
    cookie_httponly: t.boolean({ maps: { sets: ['cookie_http_only'] } }),
    cookie_persistent: t.boolean({ maps: { sets: ['remember'] } }),
  },
})
export type Config = ConfigOf<typeof schema>
