import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** Configuration of `request-mirror`, which Kong does not have. `percent` of the requests; times in ms. */
export const schema = definePluginSchema({
  name: 'request-mirror',
  // Below all that change or end requests in the access phase: what is mirrored is what the upstream is asked.
  priority: 1,
  version: '1.0.0',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['http', 'https'], allowed: ['http', 'https'] },
  phases: ['access', 'log'],
  config: {
    url: t.url(),
    service: t.string({ len_min: 1 }),
    percent: t.number({ required: true, default: 100, between: [0, 100] }),
    methods: t.set(t.httpMethod()),
    mark_header: t.headerName({ required: true, default: 'X-Meridian-Mirror' }),
    remove_headers: t.set(t.headerName(), {
      required: true,
      default: ['authorization', 'proxy-authorization', 'cookie', 'apikey'],
    }),
    set_headers: t.map(t.headerName(), t.string({ referenceable: true, encrypted: true }), {
      required: true,
      default: {},
    }),
    preserve_host: t.boolean({ required: true, default: false }),
    max_body_bytes: t.integer({ required: true, default: 65_536, between: [0, 16_777_216] }),
    queue_size: t.integer({ required: true, default: 100, between: [1, 10_000] }),
    concurrency: t.integer({ required: true, default: 32, between: [1, 1000] }),
    timeout: t.integer({ required: true, default: 10_000, between: [1, 600_000] }),
    connect_timeout: t.integer({ required: true, default: 2000, between: [1, 60_000] }),
    ssl_verify: t.boolean({ required: true, default: true }),
  },
})
export type Config = ConfigOf<typeof schema>
