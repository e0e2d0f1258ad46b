import { defineEntity, t, type Static } from '#model/schema.ts'

/** The credentials or rows of a plugin: `sessions`. */
export const sessions = defineEntity({
  kind: 'sessions',
  plugin: 'session',
  about: 'Rows of `sessions`.',
  on_demand: true,
  endpoint_key: 'session_id',
  cache_key: ['session_id'],
  ttl: true,
  db_export: false,
  fields: {
    id: t.uuid(),
    session_id: t.string({ required: true, unique: true, encrypted: true }),
    expires: t.integer(),
    data: t.string({ encrypted: true }),
    created_at: t.autoTimestampS(),
  },
})
export type Sessions = Static<typeof sessions.fields>
