import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

const NAME = '^[A-Za-z0-9][A-Za-z0-9._-]*$'

/** Configuration of `traffic-split`, which Kong does not have. Weights and shares in percent; `window`, `hold`, `start`, `duration` in seconds. */
export const schema = definePluginSchema({
  name: 'traffic-split',
  // After who the client is and what is limited, before all that change the request for its upstream.
  priority: 850,
  version: '1.0.0',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access', 'header_filter', 'log'],
  config: {
    targets: t.array(
      t.record({
        name: t.string({ required: true, match: NAME, len_max: 64 }),
        service: t.string({ len_min: 1 }),
        upstream: t.string({ len_min: 1 }),
        weight: t.number({ required: true, default: 0, between: [0, 100] }),
      }),
      { required: true, len_min: 1, len_max: 16 },
    ),
    rules: t.array(
      t.record({
        target: t.string({ required: true }),
        header: t.headerName(),
        cookie: t.cookieName(),
        values: t.array(t.string(), { len_min: 1, len_max: 100 }),
        consumer_groups: t.array(t.string({ len_min: 1 }), { len_min: 1, len_max: 100 }),
      }),
      { required: true, default: [], len_max: 64 },
    ),
    sticky: t.string({ required: true, default: 'none', one_of: ['none', 'consumer', 'ip', 'header', 'cookie'] }),
    sticky_header: t.headerName(),
    cookie_name: t.cookieName({ required: true, default: 'meridian_split' }),
    cookie_max_age: t.integer({ required: true, default: 86_400, between: [1, 34_560_000] }),
    ramp: t.record(
      {
        start: t.number({ required: true, gt: 0 }),
        duration: t.number({ required: true, gt: 0 }),
      },
      { required: false },
    ),
    abort: t.record(
      {
        window: t.integer({ required: true, default: 60, between: [10, 3600] }),
        min_requests: t.integer({ required: true, default: 50, between: [1, 1_000_000] }),
        error_margin: t.number({ required: true, default: 5, between: [0, 100] }),
        max_error_rate: t.number({ between: [0, 100] }),
        latency_percentile: t.number({ required: true, default: 95, between: [1, 99] }),
        latency_factor: t.number({ required: true, default: 2, between: [0, 100] }),
        latency_slack: t.integer({ required: true, default: 20, between: [0, 60_000] }),
        hold: t.integer({ required: true, default: 0, between: [0, 31_536_000] }),
      },
      { required: false },
    ),
    variant_header: t.headerName(),
  },
})
export type Config = ConfigOf<typeof schema>
