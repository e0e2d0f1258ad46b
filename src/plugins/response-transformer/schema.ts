import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `response-transformer` as Kong 3.9 has it. */
export const schema = definePluginSchema({
  name: 'response-transformer',
  priority: 800,
  version: '3.9.3',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['header_filter', 'body_filter'],
  config: {
    remove: t.record(
      {
        json: t.array(t.string(), { required: true, default: [] }),
        headers: t.array(t.string(), { required: true, default: [] }),
      },
      { required: true },
    ),
    rename: t.record(
      {
        json: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$' }), { required: true, default: [] }),
        headers: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$', validator: 'header_pair_both' }), {
          required: true,
          default: [],
        }),
      },
      { required: true },
    ),
    replace: t.record(
      {
        json: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$' }), { required: true, default: [] }),
        json_types: t.array(t.string({ one_of: ['boolean', 'number', 'string'] }), { required: true, default: [] }),
        headers: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$' }), { required: true, default: [] }),
      },
      { required: true },
    ),
    add: t.record(
      {
        json: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$' }), { required: true, default: [] }),
        json_types: t.array(t.string({ one_of: ['boolean', 'number', 'string'] }), { required: true, default: [] }),
        headers: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$' }), { required: true, default: [] }),
      },
      { required: true },
    ),
    append: t.record(
      {
        json: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$' }), { required: true, default: [] }),
        json_types: t.array(t.string({ one_of: ['boolean', 'number', 'string'] }), { required: true, default: [] }),
        headers: t.array(t.string({ match: '^[^:]+:[\\s\\S]*$' }), { required: true, default: [] }),
      },
      { required: true },
    ),
  },
})
export type Config = ConfigOf<typeof schema>
