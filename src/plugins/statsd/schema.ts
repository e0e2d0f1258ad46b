import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `statsd` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'statsd',
  priority: 11,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['log'],
  config: {
    host: t.host({ default: 'localhost' }),
    port: t.port({ default: 8125 }),
    prefix: t.string({ default: 'kong' }),
    metrics: t.array(
      t.record(
        {
          name: t.string({
            required: true,
            one_of: [
              'kong_latency',
              'latency',
              'request_count',
              'request_per_user',
              'request_size',
              'response_size',
              'status_count',
              'status_count_per_user',
              'unique_users',
              'upstream_latency',
              'status_count_per_workspace',
              'status_count_per_user_per_route',
              'shdict_usage',
            ],
          }),
          stat_type: t.string({ required: true, one_of: ['counter', 'gauge', 'histogram', 'meter', 'set', 'timer'] }),
          sample_rate: t.number({ gt: 0 }),
          consumer_identifier: t.string({ one_of: ['consumer_id', 'custom_id', 'username'] }),
          service_identifier: t.string({
            one_of: ['service_id', 'service_name', 'service_host', 'service_name_or_host'],
          }),
          workspace_identifier: t.string({ one_of: ['workspace_id', 'workspace_name'] }),
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
        default: [
          { name: 'request_count', sample_rate: 1, stat_type: 'counter' },
          { name: 'latency', stat_type: 'timer' },
          { name: 'request_size', sample_rate: 1, stat_type: 'counter' },
          { name: 'status_count', sample_rate: 1, stat_type: 'counter' },
          { name: 'response_size', sample_rate: 1, stat_type: 'counter' },
          { name: 'unique_users', stat_type: 'set' },
          { name: 'request_per_user', sample_rate: 1, stat_type: 'counter' },
          { name: 'upstream_latency', stat_type: 'timer' },
          { name: 'kong_latency', stat_type: 'timer' },
          { name: 'status_count_per_user', sample_rate: 1, stat_type: 'counter' },
          { name: 'status_count_per_workspace', sample_rate: 1, stat_type: 'counter' },
          { name: 'status_count_per_user_per_route', sample_rate: 1, stat_type: 'counter' },
          { name: 'shdict_usage', sample_rate: 1, stat_type: 'gauge' },
        ],
      },
    ),
    allow_status_codes: t.array(t.string({ match: '^[0-9]+-[0-9]+$' })),
    udp_packet_size: t.number({ default: 0, between: [0, 65507] }),
    use_tcp: t.boolean({ default: false }),
    hostname_in_prefix: t.boolean({ default: false }),
    consumer_identifier_default: t.string({
      required: true,
      default: 'custom_id',
      one_of: ['consumer_id', 'custom_id', 'username'],
    }),
    service_identifier_default: t.string({
      required: true,
      default: 'service_name_or_host',
      one_of: ['service_id', 'service_name', 'service_host', 'service_name_or_host'],
    }),
    workspace_identifier_default: t.string({
      required: true,
      default: 'workspace_id',
      one_of: ['workspace_id', 'workspace_name'],
    }),
    retry_count: t.integer({ deprecated: { removal_in: '4.0', old_default: 10 } }),
    queue_size: t.integer({ deprecated: { removal_in: '4.0', old_default: 1 } }),
    flush_timeout: t.number({ deprecated: { removal_in: '4.0', old_default: 2 } }),
    tag_style: t.string({ required: false, one_of: ['dogstatsd', 'influxdb', 'librato', 'signalfx'] }),
    queue: t.queue({ required: true }),
  },
})
export type Config = ConfigOf<typeof schema>
