import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `file-log` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'file-log',
  priority: 9,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['log'],
  config: {
    path: t.string({ required: true, match: '^[^*&%\\\\`]+$', error: 'not a valid filename' }),
    reopen: t.boolean({ required: true, default: false }),
    custom_fields_by_lua: t.luaCode(),
    custom_fields: t.logFields(),
  },
})
export type Config = ConfigOf<typeof schema>
