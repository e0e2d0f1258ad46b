import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `ip-restriction` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'ip-restriction',
  priority: 990,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['http', 'https', 'tcp', 'tls', 'grpc', 'grpcs'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['access', 'preread'],
  checks: [{ rule: 'at_least_one_of', fields: ['config.allow', 'config.deny'] }],
  config: {
    allow: t.array(t.ipOrCidr()),
    deny: t.array(t.ipOrCidr()),
    status: t.number({ required: false }),
    message: t.string({ required: false }),
  },
})
export type Config = ConfigOf<typeof schema>
