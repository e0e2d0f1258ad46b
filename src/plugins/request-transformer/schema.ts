import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `request-transformer` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'request-transformer',
  priority: 801,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: {
    default: ['grpc', 'grpcs', 'http', 'https'],
    allowed: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'],
  },
  phases: ['access'],
  config: {
    http_method: t.httpMethod(),
    remove: t.record(
      {
        body: t.array(t.string(), { required: true, default: [] }),
        headers: t.array(t.string({ validator: 'header_pair' }), { required: true, default: [] }),
        querystring: t.array(t.string(), { required: true, default: [] }),
      },
      { required: true },
    ),
    rename: t.record(
      {
        body: t.array(t.string({ validator: 'transform_value' }), { required: true, default: [] }),
        headers: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$', validator: 'header_pair_both' }), {
          required: true,
          default: [],
        }),
        querystring: t.array(t.string({ validator: 'transform_value' }), { required: true, default: [] }),
      },
      { required: true },
    ),
    replace: t.record(
      {
        body: t.array(t.string({ validator: 'transform_value' }), { required: true, default: [] }),
        headers: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$', validator: 'header_pair' }), {
          required: true,
          default: [],
        }),
        querystring: t.array(t.string({ validator: 'transform_value' }), { required: true, default: [] }),
        uri: t.string(),
      },
      { required: true },
    ),
    add: t.record(
      {
        body: t.array(t.string({ validator: 'transform_value' }), { required: true, default: [] }),
        headers: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$', validator: 'header_pair' }), {
          required: true,
          default: [],
        }),
        querystring: t.array(t.string({ validator: 'transform_value' }), { required: true, default: [] }),
      },
      { required: true },
    ),
    append: t.record(
      {
        body: t.array(t.string({ validator: 'transform_value' }), { required: true, default: [] }),
        headers: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$', validator: 'header_pair' }), {
          required: true,
          default: [],
        }),
        querystring: t.array(t.string({ validator: 'transform_value' }), { required: true, default: [] }),
      },
      { required: true },
    ),
  },
})
export type Config = ConfigOf<typeof schema>
