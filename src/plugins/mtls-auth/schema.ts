import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `mtls-auth` with the field names that Kong's Enterprise edition documents. */
export const schema = definePluginSchema({
  name: 'mtls-auth',
  priority: 1600,
  version: '3.9.1',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpcs', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    ca_certificates: t.array(t.string({ uuid: true }), { required: true, len_min: 1 }),
    allow_partial_chain: t.boolean({ required: true, default: false }),
    skip_consumer_lookup: t.boolean({ required: true, default: false }),
    authenticated_group_by: t.string({ default: 'CN', one_of: ['CN', 'DN'] }),
    consumer_by: t.array(t.string({ one_of: ['username', 'custom_id'] }), { default: ['username', 'custom_id'] }),
    default_consumer: t.string(),
    anonymous: t.string(),
    send_ca_dn: t.boolean({ required: true, default: false }),
    cache_ttl: t.number({ required: true, default: 60, between: [0, 86_400] }),
    revocation_check_mode: t.string({ default: 'IGNORE_CA_ERROR', one_of: ['SKIP', 'IGNORE_CA_ERROR', 'STRICT'] }),
    http_timeout: t.number({ default: 30_000, between: [1, 300_000] }),
    cert_cache_ttl: t.number({ default: 60_000, between: [0, 86_400_000] }),
    http_proxy_host: t.host({ required: false }),
    http_proxy_port: t.port(),
    https_proxy_host: t.host({ required: false }),
    https_proxy_port: t.port(),
  },
})
export type Config = ConfigOf<typeof schema>
