import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `fault-injection`, which Kong does not have. Times in ms, `until` in Unix seconds, percents of the requests that match. */
export const schema = definePluginSchema({
  name: 'fault-injection',
  // Where the upstream would be asked: what limits, caches and transforms has run.
  priority: 20,
  version: '1.0.0',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access', 'header_filter', 'log'],
  config: {
    match: t.array(
      t.record({
        header: t.headerName(),
        cookie: t.cookieName(),
        values: t.array(t.string(), { len_min: 1, len_max: 100 }),
      }),
      { required: true, default: [], len_max: 16 },
    ),
    delay: t.record(
      {
        percent: t.number({ required: true, default: 100, between: [0, 100] }),
        distribution: t.string({
          required: true,
          default: 'fixed',
          one_of: ['fixed', 'uniform', 'exponential', 'normal'],
        }),
        time: t.number({ between: [0, 600_000] }),
        deviation: t.number({ between: [0, 600_000] }),
        min: t.number({ required: true, default: 0, between: [0, 600_000] }),
        max: t.number({ required: true, default: 30_000, between: [0, 600_000] }),
      },
      { required: false },
    ),
    abort: t.record(
      {
        percent: t.number({ required: true, default: 100, between: [0, 100] }),
        status: t.integer({ required: true, default: 503, between: [200, 599] }),
        body: t.string(),
        content_type: t.string({ required: true, default: 'text/plain; charset=utf-8' }),
        grpc_status: t.integer({ between: [1, 16] }),
        grpc_message: t.string(),
      },
      { required: false },
    ),
    until: t.number({ gt: 0 }),
    fault_header: t.headerName(),
    max_delayed: t.integer({ required: true, default: 100, between: [1, 100_000] }),
  },
})
export type Config = ConfigOf<typeof schema>
export type DelayConfig = NonNullable<Config['delay']>
export type AbortConfig = NonNullable<Config['abort']>
