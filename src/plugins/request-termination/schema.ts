import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `request-termination` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'request-termination',
  priority: 2,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    status_code: t.integer({ required: true, default: 503, between: [100, 599] }),
    message: t.string(),
    content_type: t.string(),
    body: t.string(),
    echo: t.boolean({ required: true, default: false }),
    trigger: t.headerName(),
  },
  config_rules: { validator: 'request_termination' },
})
export type Config = ConfigOf<typeof schema>
