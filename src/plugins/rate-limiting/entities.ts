import { defineEntity, t, type Static } from '#model/schema.ts'

/** The credentials or rows of a plugin: `ratelimiting_metrics`. */
export const ratelimitingMetrics = defineEntity({
  kind: 'ratelimiting_metrics',
  plugin: 'rate-limiting',
  about: 'Rows of `ratelimiting_metrics`.',
  primary_key: ['identifier', 'period', 'period_date', 'service_id', 'route_id'],
  generate_admin_api: false,
  ttl: true,
  db_export: false,
  fields: {
    identifier: t.string({ required: true, len_min: 0 }),
    period: t.string({ required: true }),
    period_date: t.integer({ required: true, timestamp: true }),
    service_id: t.string({ required: true, uuid: true }),
    route_id: t.string({ required: true, uuid: true }),
    value: t.integer({ required: true }),
  },
})
export type RatelimitingMetrics = Static<typeof ratelimitingMetrics.fields>
