import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `zipkin` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'zipkin',
  priority: 100000,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['access', 'header_filter', 'body_filter', 'log'],
  config: {
    local_service_name: t.string({ required: true, default: 'kong' }),
    http_endpoint: t.url(),
    sample_ratio: t.number({ default: 0.001, between: [0, 1] }),
    default_service_name: t.string(),
    include_credential: t.boolean({ required: true, default: true }),
    traceid_byte_count: t.integer({ required: true, default: 16, one_of: [8, 16] }),
    header_type: t.string({
      required: true,
      default: 'preserve',
      one_of: ['preserve', 'ignore', 'b3', 'b3-single', 'w3c', 'jaeger', 'ot', 'aws', 'datadog', 'gcp'],
      deprecated: { removal_in: '4.0', old_default: 'preserve' },
    }),
    default_header_type: t.string({
      required: true,
      default: 'b3',
      one_of: ['b3', 'b3-single', 'w3c', 'jaeger', 'ot', 'aws', 'datadog', 'gcp'],
      deprecated: { removal_in: '4.0', old_default: 'b3' },
    }),
    tags_header: t.string({ required: true, default: 'Zipkin-Tags' }),
    static_tags: t.array(
      t.record({
        name: t.string({
          required: true,
          not_one_of: [
            'error',
            'http.method',
            'http.path',
            'http.status_code',
            'kong.balancer.state',
            'kong.balancer.try',
            'kong.consumer',
            'kong.credential',
            'kong.node.id',
            'kong.route',
            'kong.service',
            'lc',
            'peer.hostname',
          ],
        }),
        value: t.string({ required: true }),
      }),
      { validator: 'zipkin_static_tags' },
    ),
    http_span_name: t.string({ required: true, default: 'method', one_of: ['method', 'method_path'] }),
    connect_timeout: t.timeout({ default: 2000 }),
    send_timeout: t.timeout({ default: 5000 }),
    read_timeout: t.timeout({ default: 5000 }),
    http_response_header_for_traceid: t.string(),
    phase_duration_flavor: t.string({ required: true, default: 'annotations', one_of: ['annotations', 'tags'] }),
    queue: t.queue({ required: true }),
    propagation: t.propagation({ required: true, default: { default_format: 'b3' } }),
  },
})
export type Config = ConfigOf<typeof schema>
