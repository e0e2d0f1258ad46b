import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `opentelemetry` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'opentelemetry',
  priority: 14,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['configure', 'access', 'header_filter', 'log'],
  config: {
    traces_endpoint: t.url({ referenceable: true }),
    logs_endpoint: t.url({ referenceable: true }),
    headers: t.map(t.headerName(), t.string({ referenceable: true })),
    resource_attributes: t.map(t.string({ required: true }), t.string({ required: true }), {
      validator: 'otel_resource_attributes',
    }),
    queue: t.queue({ required: true, default: { max_batch_size: 200 } }),
    batch_span_count: t.integer({ deprecated: { removal_in: '4.0', old_default: 200 } }),
    batch_flush_delay: t.integer({ deprecated: { removal_in: '4.0', old_default: 3 } }),
    connect_timeout: t.timeout({ default: 1000 }),
    send_timeout: t.timeout({ default: 5000 }),
    read_timeout: t.timeout({ default: 5000 }),
    http_response_header_for_traceid: t.string(),
    header_type: t.string({
      required: false,
      default: 'preserve',
      one_of: ['preserve', 'ignore', 'b3', 'b3-single', 'w3c', 'jaeger', 'ot', 'aws', 'gcp', 'datadog'],
      deprecated: { removal_in: '4.0', old_default: 'preserve' },
    }),
    sampling_rate: t.number({ required: false, between: [0, 1] }),
    sampling_strategy: t.string({
      one_of: ['parent_drop_probability_fallback', 'parent_probability_fallback'],
      hidden_unless_set: true,
    }),
    sample_errors: t.boolean({ hidden_unless_set: true }),
    propagation: t.propagation({ required: true, default: { default_format: 'w3c' } }),
  },
  shorthand_fields: {
    endpoint: t.url({ referenceable: true, deprecated: { removal_in: '4.0' }, maps: { sets: ['traces_endpoint'] } }),
  },
  config_checks: [{ rule: 'at_least_one_of', fields: ['traces_endpoint', 'logs_endpoint'] }],
})
export type Config = ConfigOf<typeof schema>
