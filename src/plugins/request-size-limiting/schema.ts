import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `request-size-limiting` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'request-size-limiting',
  priority: 951,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access'],
  config: {
    allowed_payload_size: t.integer({ default: 128 }),
    size_unit: t.string({ required: true, default: 'megabytes', one_of: ['megabytes', 'kilobytes', 'bytes'] }),
    require_content_length: t.boolean({ required: true, default: false }),
  },
})
export type Config = ConfigOf<typeof schema>
