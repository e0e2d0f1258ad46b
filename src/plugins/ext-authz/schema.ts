import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `ext-authz`, which Kong has not. */
export const schema = definePluginSchema({
  name: 'ext-authz',
  priority: 921,
  version: '1.0.0',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    url: t.url({ required: true }),
    method: t.string({ required: true, default: 'GET', one_of: ['GET', 'POST'] }),
    request_headers: t.set(t.headerName(), { required: true, default: ['authorization', 'cookie'] }),
    extra_headers: t.map(t.headerName(), t.string({ referenceable: true, encrypted: true }), {
      required: true,
      default: {},
    }),
    upstream_headers: t.set(t.headerName(), { required: true, default: [] }),
    client_headers: t.set(t.headerName(), {
      required: true,
      default: ['content-type', 'location', 'www-authenticate', 'cache-control'],
    }),
    include_body: t.boolean({ required: true, default: false }),
    max_body_bytes: t.integer({ required: true, default: 65536, between: [1, 16777216] }),
    timeout: t.integer({ required: true, default: 1000, between: [1, 60000] }),
    cache_ttl: t.number({ required: true, default: 0, between: [0, 86400] }),
    fail_open: t.boolean({ required: true, default: false }),
    ssl_verify: t.boolean({ required: true, default: true }),
  },
})
export type Config = ConfigOf<typeof schema>
