import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `redirect` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'redirect',
  priority: 779,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    status_code: t.integer({ required: true, default: 301, between: [100, 599] }),
    location: t.url({ required: true }),
    keep_incoming_path: t.boolean({ default: false }),
  },
})
export type Config = ConfigOf<typeof schema>
