import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'
import { decidingFields } from '../authorization/schema.ts'

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
    ...decidingFields,
    ssl_verify: t.boolean({ required: true, default: true }),
  },
})
export type Config = ConfigOf<typeof schema>
