import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `grpc-web` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'grpc-web',
  priority: 3,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['access', 'header_filter', 'body_filter'],
  config: {
    proto: t.string({ required: false }),
    pass_stripped_path: t.boolean({ required: false }),
    allow_origin_header: t.string({ required: false, default: '*' }),
  },
})
export type Config = ConfigOf<typeof schema>
