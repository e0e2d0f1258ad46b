import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `grpc-gateway` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'grpc-gateway',
  priority: 998,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['access', 'header_filter', 'body_filter'],
  config: {
    proto: t.string({ required: false }),
  },
})
export type Config = ConfigOf<typeof schema>
