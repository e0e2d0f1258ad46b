import { redisFields } from '#model/redis-block.ts'
import { CHALLENGE_TYPES } from '#pdk/acme-challenges.ts'
import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `acme` as Kong 3.9 has it; what stands below the comment is ours. */
export const schema = definePluginSchema({
  name: 'acme',
  priority: 1705,
  version: '3.9.3',
  scopes: { global: true, service: false, route: false, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['init_worker', 'configure', 'certificate', 'access'],
  checks: [
    {
      rule: 'conditional',
      if_field: 'config.api_uri',
      if_match: { one_of: ['https://acme-v02.api.letsencrypt.org', 'https://acme-staging-v02.api.letsencrypt.org'] },
      then_field: 'config.tos_accepted',
      then_match: { eq: true },
      error: 'terms of service must be accepted, see https://letsencrypt.org/repository/',
    },
    {
      rule: 'conditional',
      if_field: 'config.storage',
      if_match: { eq: 'redis' },
      then_field: 'config.storage_config.redis.host',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'config.storage',
      if_match: { eq: 'redis' },
      then_field: 'config.storage_config.redis.port',
      then_match: { required: true },
    },
    {
      rule: 'custom',
      name: 'acme_storage',
      fields: ['config.storage'],
      meaning: "storage 'kong' not in db-less unless data plane; storage 'shm' not on a control plane",
      errors: ['"kong" storage can\'t be used with dbless mode', '"shm" storage can\'t be used in Hybrid mode'],
    },
  ],
  config: {
    account_email: t.string({
      required: true,
      match: '[A-Za-z0-9]*[\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e]*@+[A-Za-z0-9]*\\.?[A-Za-z0-9]*',
      referenceable: true,
      encrypted: true,
    }),
    account_key: t.record(
      {
        key_id: t.string({ required: true }),
        key_set: t.string(),
      },
      { required: false },
    ),
    api_uri: t.url({ default: 'https://acme-v02.api.letsencrypt.org/directory' }),
    tos_accepted: t.boolean({ default: false }),
    eab_kid: t.string({ referenceable: true, encrypted: true }),
    eab_hmac_key: t.string({ referenceable: true, encrypted: true }),
    cert_type: t.string({ default: 'rsa', one_of: ['rsa', 'ecc'] }),
    rsa_key_size: t.number({ default: 4096, one_of: [2048, 3072, 4096] }),
    renew_threshold_days: t.number({ default: 14 }),
    domains: t.hosts(),
    allow_any_domain: t.boolean({ default: false }),
    fail_backoff_minutes: t.number({ default: 5 }),
    storage: t.string({ default: 'shm', one_of: ['kong', 'shm', 'redis', 'consul', 'vault'] }),
    storage_config: t.record(
      {
        shm: t.record(
          {
            shm_name: t.string({ default: 'kong', validator: 'acme_shm_exists' }),
          },
          { required: true },
        ),
        kong: t.record({}, { required: true }),
        redis: t.record(
          {
            ...redisFields,
            extra_options: t.record(
              {
                namespace: t.string({ required: true, default: '', len_min: 0, validator: 'acme_namespace' }),
                scan_count: t.number({ required: false, default: 10 }),
              },
              { required: true },
            ),
          },
          {
            required: true,
            shorthand_fields: {
              auth: {
                type: 'string',
                len_min: 0,
                deprecated: { removal_in: '4.0', replaced_with: ['password'] },
                maps: { sets: ['password'] },
              },
              ssl_server_name: {
                type: 'string',
                deprecated: { removal_in: '4.0', replaced_with: ['server_name'] },
                maps: { sets: ['server_name'] },
              },
              namespace: {
                type: 'string',
                len_min: 0,
                deprecated: { removal_in: '4.0', replaced_with: ['extra_options.namespace'] },
                maps: { sets: ['extra_options.namespace'] },
              },
              scan_count: {
                type: 'integer',
                deprecated: { removal_in: '4.0', replaced_with: ['extra_options.scan_count'] },
                maps: { sets: ['extra_options.scan_count'] },
              },
            },
          },
        ),
        consul: t.record(
          {
            https: t.boolean({ default: false }),
            host: t.host(),
            port: t.port(),
            kv_path: t.string(),
            timeout: t.number(),
            token: t.string({ referenceable: true, encrypted: true }),
          },
          { required: true },
        ),
        vault: t.record(
          {
            https: t.boolean({ default: false }),
            host: t.host(),
            port: t.port(),
            kv_path: t.string(),
            timeout: t.number(),
            token: t.string({ referenceable: true, encrypted: true }),
            tls_verify: t.boolean({ default: true }),
            tls_server_name: t.string(),
            auth_method: t.string({ default: 'token', one_of: ['token', 'kubernetes'] }),
            auth_path: t.string(),
            auth_role: t.string(),
            jwt_path: t.string(),
          },
          { required: true },
        ),
      },
      { required: true },
    ),
    preferred_chain: t.string(),
    enable_ipv4_common_name: t.boolean({ default: true }),
    // Ours.
    challenge: t.string({ required: true, default: 'http-01', one_of: [...CHALLENGE_TYPES] }),
  },
})
export type Config = ConfigOf<typeof schema>
