import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `key-auth` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'key-auth',
  priority: 1250,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    key_names: t.array(t.headerName(), { required: true, default: ['apikey'] }),
    hide_credentials: t.boolean({ required: true, default: false }),
    anonymous: t.string(),
    key_in_header: t.boolean({ required: true, default: true }),
    key_in_query: t.boolean({ required: true, default: true }),
    key_in_body: t.boolean({ required: true, default: false }),
    run_on_preflight: t.boolean({ required: true, default: true }),
    realm: t.string({ required: false }),
  },
})
export type Config = ConfigOf<typeof schema>
