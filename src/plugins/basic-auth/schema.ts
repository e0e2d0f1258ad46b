import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `basic-auth` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'basic-auth',
  priority: 1100,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    anonymous: t.string(),
    hide_credentials: t.boolean({ required: true, default: false }),
    realm: t.string({ required: true, default: 'service' }),
  },
})
export type Config = ConfigOf<typeof schema>
