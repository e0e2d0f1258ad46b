import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `datadog` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'datadog',
  priority: 10,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['log'],
  config: {
    host: t.host({ default: 'localhost', referenceable: true }),
    port: t.port({ default: 8125 }),
    prefix: t.string({ default: 'kong' }),
    service_name_tag: t.string({ default: 'name' }),
    status_tag: t.string({ default: 'status' }),
    consumer_tag: t.string({ default: 'consumer' }),
    retry_count: t.integer({ deprecated: { removal_in: '4.0', old_default: 10 } }),
    queue_size: t.integer({ deprecated: { removal_in: '4.0', old_default: 1 } }),
    flush_timeout: t.number({ deprecated: { removal_in: '4.0', old_default: 2 } }),
    queue: t.queue({ required: true }),
    metrics: t.array(
      t.record(
        {
          name: t.string({
            required: true,
            one_of: ['kong_latency', 'latency', 'request_count', 'request_size', 'response_size', 'upstream_latency'],
          }),
          stat_type: t.string({
            required: true,
            one_of: ['counter', 'gauge', 'histogram', 'meter', 'set', 'timer', 'distribution'],
          }),
          tags: t.array(t.string({ match: '^.*[^:]$' })),
          sample_rate: t.number({ between: [0, 1] }),
          consumer_identifier: t.string({ one_of: ['consumer_id', 'custom_id', 'username'] }),
        },
        {
          checks: [
            {
              rule: 'conditional',
              if_field: 'stat_type',
              if_match: { one_of: ['counter', 'gauge'] },
              then_field: 'sample_rate',
              then_match: { required: true },
            },
          ],
        },
      ),
      {
        required: true,
        default: [
          {
            consumer_identifier: 'custom_id',
            name: 'request_count',
            sample_rate: 1,
            stat_type: 'counter',
            tags: ['app:kong'],
          },
          { consumer_identifier: 'custom_id', name: 'latency', stat_type: 'timer', tags: ['app:kong'] },
          { consumer_identifier: 'custom_id', name: 'request_size', stat_type: 'timer', tags: ['app:kong'] },
          { consumer_identifier: 'custom_id', name: 'response_size', stat_type: 'timer', tags: ['app:kong'] },
          { consumer_identifier: 'custom_id', name: 'upstream_latency', stat_type: 'timer', tags: ['app:kong'] },
          { consumer_identifier: 'custom_id', name: 'kong_latency', stat_type: 'timer', tags: ['app:kong'] },
        ],
      },
    ),
  },
})
export type Config = ConfigOf<typeof schema>
