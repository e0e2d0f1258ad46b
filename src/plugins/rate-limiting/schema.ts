import { redisFields } from '#model/redis-block.ts'
import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `rate-limiting` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'rate-limiting',
  priority: 910,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  checks: [
    {
      rule: 'at_least_one_of',
      fields: ['config.second', 'config.minute', 'config.hour', 'config.day', 'config.month', 'config.year'],
    },
    {
      rule: 'conditional',
      if_field: 'config.policy',
      if_match: { eq: 'redis' },
      then_field: 'config.redis.host',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'config.policy',
      if_match: { eq: 'redis' },
      then_field: 'config.redis.port',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'config.policy',
      if_match: { eq: 'redis' },
      then_field: 'config.redis.timeout',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'config.limit_by',
      if_match: { eq: 'header' },
      then_field: 'config.header_name',
      then_match: { required: true },
    },
    {
      rule: 'conditional',
      if_field: 'config.limit_by',
      if_match: { eq: 'path' },
      then_field: 'config.path',
      then_match: { required: true },
    },
  ],
  config: {
    second: t.number({ gt: 0 }),
    minute: t.number({ gt: 0 }),
    hour: t.number({ gt: 0 }),
    day: t.number({ gt: 0 }),
    month: t.number({ gt: 0 }),
    year: t.number({ gt: 0 }),
    limit_by: t.string({ default: 'consumer', one_of: ['consumer', 'credential', 'ip', 'service', 'header', 'path'] }),
    header_name: t.headerName(),
    path: t.path(),
    policy: t.string({ default: 'local', one_of: ['local', 'cluster', 'redis'], len_min: 0 }),
    fault_tolerant: t.boolean({ required: true, default: true }),
    redis: t.record(redisFields, { required: true }),
    hide_client_headers: t.boolean({ required: true, default: false }),
    error_code: t.number({ default: 429, gt: 0 }),
    error_message: t.string({ default: 'API rate limit exceeded' }),
    sync_rate: t.number({ required: true, default: -1 }),
  },
  shorthand_fields: {
    redis_host: t.string({
      deprecated: { removal_in: '4.0', replaced_with: ['redis.host'] },
      maps: { sets: ['redis.host'] },
    }),
    redis_port: t.integer({
      deprecated: { removal_in: '4.0', replaced_with: ['redis.port'] },
      maps: { sets: ['redis.port'] },
    }),
    redis_password: t.string({
      len_min: 0,
      deprecated: { removal_in: '4.0', replaced_with: ['redis.password'] },
      maps: { sets: ['redis.password'] },
    }),
    redis_username: t.string({
      deprecated: { removal_in: '4.0', replaced_with: ['redis.username'] },
      maps: { sets: ['redis.username'] },
    }),
    redis_ssl: t.boolean({
      deprecated: { removal_in: '4.0', replaced_with: ['redis.ssl'] },
      maps: { sets: ['redis.ssl'] },
    }),
    redis_ssl_verify: t.boolean({
      deprecated: { removal_in: '4.0', replaced_with: ['redis.ssl_verify'] },
      maps: { sets: ['redis.ssl_verify'] },
    }),
    redis_server_name: t.string({
      deprecated: { removal_in: '4.0', replaced_with: ['redis.server_name'] },
      maps: { sets: ['redis.server_name'] },
    }),
    redis_timeout: t.integer({
      deprecated: { removal_in: '4.0', replaced_with: ['redis.timeout'] },
      maps: { sets: ['redis.timeout'] },
    }),
    redis_database: t.integer({
      deprecated: { removal_in: '4.0', replaced_with: ['redis.database'] },
      maps: { sets: ['redis.database'] },
    }),
  },
  config_rules: { validator: 'period_order' },
})
export type Config = ConfigOf<typeof schema>
