import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `pre-function` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'pre-function',
  priority: 1000000,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['certificate', 'rewrite', 'access', 'header_filter', 'body_filter', 'log'],
  checks: [
    {
      rule: 'at_least_one_of',
      fields: [
        'config.certificate',
        'config.rewrite',
        'config.access',
        'config.header_filter',
        'config.body_filter',
        'config.log',
      ],
    },
  ],
  config: {
    certificate: t.array(t.string({ required: false, validator: 'lua_function' }), { required: true, default: [] }),
    rewrite: t.array(t.string({ required: false, validator: 'lua_function' }), { required: true, default: [] }),
    access: t.array(t.string({ required: false, validator: 'lua_function' }), { required: true, default: [] }),
    header_filter: t.array(t.string({ required: false, validator: 'lua_function' }), { required: true, default: [] }),
    body_filter: t.array(t.string({ required: false, validator: 'lua_function' }), { required: true, default: [] }),
    log: t.array(t.string({ required: false, validator: 'lua_function' }), { required: true, default: [] }),
  },
})
export type Config = ConfigOf<typeof schema>
