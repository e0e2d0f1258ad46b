import { PURGES } from '#model/cache-names.ts'
import { defineEntity, t, type Static } from '#model/schema.ts'

/**
 * What was purged when: a row for each place that names fall into, so that there are never more of them. The revision that wrote it last
 * is when; every node has that from the log.
 */
export const proxyCachePurges = defineEntity({
  kind: PURGES,
  plugin: 'proxy-cache',
  about: 'What was purged of stored responses.',
  workspaceable: false,
  generate_admin_api: false,
  db_export: false,
  fields: {
    id: t.uuid(),
    place: t.integer({ required: true, between: [0, 65_535] }),
    /** Those of the last time. */
    names: t.array(t.string(), { required: true }),
    /** How often: a row that says the same as before would be no change. */
    times: t.integer({ required: true }),
    purged_at: t.integer({ required: true, timestamp: true }),
  },
})
export type ProxyCachePurge = Static<typeof proxyCachePurges.fields>
