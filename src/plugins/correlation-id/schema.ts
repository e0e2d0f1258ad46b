import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `correlation-id` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'correlation-id',
  priority: 100001,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['init_worker', 'access', 'header_filter'],
  config: {
    header_name: t.string({ default: 'Kong-Request-ID' }),
    generator: t.string({ required: true, default: 'uuid#counter', one_of: ['uuid', 'uuid#counter', 'tracker'] }),
    echo_downstream: t.boolean({ required: true, default: false }),
  },
})
export type Config = ConfigOf<typeof schema>
