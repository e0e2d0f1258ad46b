import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `cors` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'cors',
  priority: 2000,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access', 'header_filter'],
  config: {
    origins: t.array(t.string({ validator: 'cors_origin' })),
    headers: t.array(t.string()),
    exposed_headers: t.array(t.string()),
    methods: t.array(
      t.string({ one_of: ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'] }),
      { default: ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'] },
    ),
    max_age: t.number(),
    credentials: t.boolean({ required: true, default: false }),
    private_network: t.boolean({ required: true, default: false }),
    preflight_continue: t.boolean({ required: true, default: false }),
  },
})
export type Config = ConfigOf<typeof schema>
