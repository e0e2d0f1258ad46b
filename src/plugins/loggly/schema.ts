import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `loggly` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'loggly',
  priority: 6,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['log'],
  config: {
    host: t.host({ default: 'logs-01.loggly.com' }),
    port: t.port({ default: 514 }),
    key: t.string({ required: true, referenceable: true, encrypted: true }),
    tags: t.set(t.string(), { default: ['kong'] }),
    log_level: t.string({
      default: 'info',
      one_of: ['debug', 'info', 'notice', 'warning', 'err', 'crit', 'alert', 'emerg'],
    }),
    successful_severity: t.string({
      default: 'info',
      one_of: ['debug', 'info', 'notice', 'warning', 'err', 'crit', 'alert', 'emerg'],
    }),
    client_errors_severity: t.string({
      default: 'info',
      one_of: ['debug', 'info', 'notice', 'warning', 'err', 'crit', 'alert', 'emerg'],
    }),
    server_errors_severity: t.string({
      default: 'info',
      one_of: ['debug', 'info', 'notice', 'warning', 'err', 'crit', 'alert', 'emerg'],
    }),
    timeout: t.number({ default: 10000 }),
    custom_fields_by_lua: t.luaCode(),
    custom_fields: t.logFields(),
  },
})
export type Config = ConfigOf<typeof schema>
