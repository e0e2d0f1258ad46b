import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `syslog` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'syslog',
  priority: 4,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['log'],
  config: {
    log_level: t.string({
      required: true,
      default: 'info',
      one_of: ['debug', 'info', 'notice', 'warning', 'err', 'crit', 'alert', 'emerg'],
    }),
    successful_severity: t.string({
      required: true,
      default: 'info',
      one_of: ['debug', 'info', 'notice', 'warning', 'err', 'crit', 'alert', 'emerg'],
    }),
    client_errors_severity: t.string({
      required: true,
      default: 'info',
      one_of: ['debug', 'info', 'notice', 'warning', 'err', 'crit', 'alert', 'emerg'],
    }),
    server_errors_severity: t.string({
      required: true,
      default: 'info',
      one_of: ['debug', 'info', 'notice', 'warning', 'err', 'crit', 'alert', 'emerg'],
    }),
    custom_fields_by_lua: t.luaCode(),
    custom_fields: t.logFields(),
    host: t.host({ hidden_unless_set: true }),
    port: t.port({ hidden_unless_set: true }),
    transport: t.string({ one_of: ['local', 'udp', 'tcp'], hidden_unless_set: true }),
    format: t.string({ one_of: ['rfc3164', 'rfc5424'], hidden_unless_set: true }),
    socket: t.string({ starts_with: '/', hidden_unless_set: true }),
    facility: t.string({
      required: true,
      default: 'user',
      one_of: [
        'auth',
        'authpriv',
        'cron',
        'daemon',
        'ftp',
        'kern',
        'lpr',
        'mail',
        'news',
        'syslog',
        'user',
        'uucp',
        'local0',
        'local1',
        'local2',
        'local3',
        'local4',
        'local5',
        'local6',
        'local7',
      ],
    }),
  },
})
export type Config = ConfigOf<typeof schema>
