import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `prometheus` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'prometheus',
  priority: 13,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['init_worker', 'configure', 'log'],
  config: {
    per_consumer: t.boolean({ default: false }),
    status_code_metrics: t.boolean({ default: false }),
    ai_metrics: t.boolean({ default: false }),
    latency_metrics: t.boolean({ default: false }),
    bandwidth_metrics: t.boolean({ default: false }),
    upstream_health_metrics: t.boolean({ default: false }),
  },
  config_rules: { validator: 'shared_dict_prometheus' },
})
export type Config = ConfigOf<typeof schema>
