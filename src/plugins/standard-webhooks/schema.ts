import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `standard-webhooks` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'standard-webhooks',
  priority: 760,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    secret_v1: t.string({ required: true, referenceable: true, encrypted: true }),
    tolerance_second: t.integer({ required: true, default: 300, gt: -1 }),
  },
})
export type Config = ConfigOf<typeof schema>
