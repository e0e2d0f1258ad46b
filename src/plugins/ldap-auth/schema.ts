import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `ldap-auth` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'ldap-auth',
  priority: 1200,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    ldap_host: t.host({ required: true }),
    ldap_port: t.port({ required: true, default: 389 }),
    ldaps: t.boolean({ required: true, default: false }),
    start_tls: t.boolean({ required: true, default: false }),
    verify_ldap_host: t.boolean({ required: true, default: false }),
    base_dn: t.string({ required: true }),
    attribute: t.string({ required: true }),
    cache_ttl: t.number({ required: true, default: 60 }),
    hide_credentials: t.boolean({ required: true, default: false }),
    timeout: t.number({ default: 10000 }),
    keepalive: t.number({ default: 60000 }),
    anonymous: t.string(),
    header_type: t.string({ default: 'ldap' }),
    realm: t.string({ required: false }),
  },
  config_checks: [
    {
      rule: 'conditional',
      if_field: 'ldaps',
      if_match: { eq: true },
      then_field: 'start_tls',
      then_match: { eq: false },
      error: "'ldaps' and 'start_tls' cannot be enabled simultaneously",
    },
  ],
})
export type Config = ConfigOf<typeof schema>
