import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `oauth2-introspection` as Kong documents it for its enterprise edition; `ssl_verify` is ours. */
export const schema = definePluginSchema({
  name: 'oauth2-introspection',
  priority: 1700,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    introspection_url: t.url({ required: true }),
    ttl: t.number({ required: true, default: 30, between: [0, 31536000] }),
    token_type_hint: t.string(),
    authorization_value: t.string({ required: true, referenceable: true, encrypted: true }),
    timeout: t.integer({ required: true, default: 10000, between: [1, 600000] }),
    keepalive: t.integer({ required: true, default: 60000, between: [0, 3600000] }),
    introspect_request: t.boolean({ required: true, default: false }),
    custom_introspection_headers: t.map(t.headerName(), t.string({ referenceable: true }), {
      required: true,
      default: {},
    }),
    custom_claims_forward: t.set(t.string({ match: '^[A-Za-z0-9_-]+$' }), { required: true, default: [] }),
    consumer_by: t.string({ required: true, default: 'username', one_of: ['username', 'client_id'] }),
    hide_credentials: t.boolean({ required: true, default: false }),
    run_on_preflight: t.boolean({ required: true, default: true }),
    anonymous: t.string({ len_min: 0 }),
    ssl_verify: t.boolean({ required: true, default: true }),
  },
})
export type Config = ConfigOf<typeof schema>
