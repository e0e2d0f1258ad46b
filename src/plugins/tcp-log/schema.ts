import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `tcp-log` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'tcp-log',
  priority: 7,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['log'],
  config: {
    host: t.host({ required: true }),
    port: t.port({ required: true }),
    timeout: t.number({ default: 10000 }),
    keepalive: t.number({ default: 60000 }),
    tls: t.boolean({ required: true, default: false }),
    tls_sni: t.string(),
    custom_fields_by_lua: t.luaCode(),
    custom_fields: t.logFields(),
    ssl_verify: t.boolean({ hidden_unless_set: true }),
  },
})
export type Config = ConfigOf<typeof schema>
