import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** What texts are sent as; images, sound, video, archives and fonts of the web are compressed already. */
const TYPES = [
  'text/*',
  'application/json',
  'application/*+json',
  'application/x-ndjson',
  'application/xml',
  'application/*+xml',
  'application/javascript',
  'application/x-javascript',
  'application/graphql',
  'application/wasm',
  'application/yaml',
  'image/svg+xml',
  'image/bmp',
  'font/otf',
  'font/ttf',
] as const

/** Configuration of `compression`, which Kong has not. */
export const schema = definePluginSchema({
  name: 'compression',
  // Below all that change responses: the decision is about what they leave.
  priority: -1100,
  version: '1.0.0',
  scopes: { global: true, service: true, route: true, consumer: false },
  protocols: { default: ['http', 'https'], allowed: ['http', 'https'] },
  phases: ['access', 'header_filter', 'body_filter'],
  config: {
    encodings: t.array(t.string({ one_of: ['zstd', 'br', 'gzip'] }), {
      required: true,
      default: ['zstd', 'br', 'gzip'],
      len_min: 1,
      len_max: 3,
    }),
    types: t.set(t.string({ match: '^[a-zA-Z0-9!#$&^_.+-]+/(?:[a-zA-Z0-9!#$&^_.+-]+|\\*(?:\\+[a-zA-Z0-9.-]+)?)$' }), {
      required: true,
      default: TYPES,
      len_min: 1,
      len_max: 100,
    }),
    min_length: t.integer({ required: true, default: 1024, between: [0, 16777216] }),
    gzip_level: t.integer({ required: true, default: 5, between: [1, 9] }),
    brotli_level: t.integer({ required: true, default: 4, between: [0, 11] }),
    zstd_level: t.integer({ required: true, default: 3, between: [1, 19] }),
    flush_after: t.integer({ required: true, default: 100, between: [0, 60000] }),
    uncompressed_upstream: t.boolean({ required: true, default: false }),
    max_streams: t.integer({ required: true, default: 512, between: [1, 100000] }),
  },
})
export type Config = ConfigOf<typeof schema>
