import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

const STATUSES = '^(?:[45]xx|[45]\\d\\d)$'
const handling = () => t.string({ required: true, default: 'keep', one_of: ['keep', 'convert', 'hide'] })

/** Configuration of `problem-details`: ours, Kong has no such plugin. */
export const schema = definePluginSchema({
  name: 'problem-details',
  priority: 50,
  version: '1.0.0',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['header_filter', 'body_filter'],
  config: {
    gateway_errors: t.boolean({ required: true, default: true }),
    upstream_client_errors: handling(),
    upstream_server_errors: handling(),
    status_map: t.map(t.string({ match: STATUSES }), t.integer({ between: [400, 599] }), {
      required: true,
      default: {},
    }),
    type_base: t.url(),
    problems: t.map(
      t.string({ match: STATUSES }),
      t.record({
        type: t.url(),
        title: t.string({ len_max: 256 }),
        detail: t.string({ len_max: 1024 }),
      }),
      { required: true, default: {} },
    ),
    members: t.map(t.string({ match: '^[A-Za-z][A-Za-z0-9_]{2,63}$' }), t.string({ len_max: 1024 }), {
      required: true,
      default: {},
    }),
  },
})
export type Config = ConfigOf<typeof schema>
