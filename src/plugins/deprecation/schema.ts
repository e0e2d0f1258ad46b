import { definePluginSchema, t, type ConfigOf } from '#model/schema.ts'

/** A date, or a moment with its offset (RFC 3339); whether it exists is looked at by `moments.ts`. */
const moment = () =>
  t.string({
    match: '^\\d{4}-\\d{2}-\\d{2}(?:T\\d{2}:\\d{2}:\\d{2}(?:\\.\\d{1,9})?(?:Z|[+-]\\d{2}:\\d{2}))?$',
    error: 'expected a date (2031-01-31) or a moment with its offset (2031-01-31T12:00:00Z)',
  })
const requiredMoment = () => ({ ...moment(), required: true }) as const

/** Configuration of `deprecation`: ours, Kong has no such plugin. */
export const schema = definePluginSchema({
  name: 'deprecation',
  priority: 820,
  version: '1.0.0',
  scopes: { global: true, service: true, route: true, consumer: true },
  protocols: { default: ['grpc', 'grpcs', 'http', 'https'], allowed: ['grpc', 'grpcs', 'http', 'https'] },
  phases: ['access', 'header_filter'],
  config: {
    name: t.string({ len_max: 128 }),
    deprecated_at: moment(),
    sunset_at: moment(),
    deprecation_link: t.url(),
    sunset_link: t.url(),
    successor_link: t.url(),
    warning: t.string({ match: '^[\\x20-\\x7e]+$', len_max: 512 }),
    after_sunset: t.string({ required: true, default: 'refuse', one_of: ['serve', 'refuse', 'redirect'] }),
    message: t.string({ required: true, default: 'This API is no longer served', len_max: 512 }),
    redirect_location: t.url(),
    redirect_status: t.integer({ required: true, default: 308, one_of: [301, 302, 307, 308] }),
    keep_incoming_path: t.boolean({ required: true, default: false }),
    brownouts: t.array(
      t.record({
        starts_at: requiredMoment(),
        duration: t.integer({ required: true, between: [1, 2678400] }),
        every: t.integer({ between: [60, 31536000] }),
        percent: t.number({ required: true, default: 100, between: [0, 100] }),
      }),
      { required: true, default: [], len_max: 100 },
    ),
    brownout_status: t.integer({ required: true, default: 503, one_of: [410, 429, 503] }),
    brownout_message: t.string({
      required: true,
      default: 'This API is about to be retired and is not served at this time',
      len_max: 512,
    }),
  },
  config_checks: [{ rule: 'at_least_one_of', fields: ['deprecated_at', 'sunset_at'] }],
})
export type Config = ConfigOf<typeof schema>
