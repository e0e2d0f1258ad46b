import { redisFields } from '#model/redis-block.ts'
import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

const limits = {
  limit: t.number({ required: true, gt: 0 }),
  window: t.string({ required: true }),
  algorithm: t.string({ required: true, default: 'fixed', one_of: ['fixed', 'sliding', 'bucket'] }),
  burst: t.number({ gt: 0 }),
  name: t.string({ len_max: 32 }),
}

/** Configuration of `traffic-limit`, which Kong does not have. */
export const schema = definePluginSchema({
  name: 'traffic-limit',
  priority: 905,
  version: '1.0.0',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access', 'header_filter'],
  config: {
    limits: t.array(t.record(limits), { required: true, len_min: 1, len_max: 16 }),
    tiers: t.array(
      t.record({
        consumer_group: t.string({ required: true }),
        limits: t.array(t.record(limits), { required: true, len_min: 1, len_max: 16 }),
      }),
      { len_max: 64 },
    ),
    limit_by: t.string({
      required: true,
      default: 'consumer',
      one_of: ['consumer', 'consumer-group', 'credential', 'ip', 'service', 'header', 'path'],
    }),
    header_name: t.headerName(),
    path: t.path(),
    cost: t.number({ required: true, default: 1, between: [0, 1_000_000_000] }),
    cost_header: t.headerName(),
    cost_response_header: t.headerName(),
    shadow: t.boolean({ required: true, default: false }),
    policy: t.string({ required: true, default: 'local', one_of: ['local', 'redis'] }),
    consistency: t.string({ one_of: ['local', 'counted', 'leased'] }),
    sync_rate: t.number({ required: true, default: -1 }),
    fault_tolerant: t.boolean({ required: true, default: true }),
    redis: t.record(redisFields, { required: true }),
    hide_client_headers: t.boolean({ required: true, default: false }),
    error_code: t.integer({ required: true, default: 429, between: [400, 599] }),
    error_message: t.string({ required: true, default: 'API rate limit exceeded' }),
  },
})
export type Config = ConfigOf<typeof schema>
