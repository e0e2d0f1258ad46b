import { defineEntity, t, type Static } from '#model/schema.ts'

/** Somebody who uses the services. */
export const consumers = defineEntity({
  kind: 'consumers',
  about: 'Somebody who uses the services.',
  endpoint_key: 'username',
  workspaceable: true,
  on_demand: true,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    username: t.string({ unique: true }),
    custom_id: t.string({ unique: true }),
    tags: t.tags(),
  },
  checks: [{ rule: 'at_least_one_of', fields: ['custom_id', 'username'] }],
})
export type Consumer = Static<typeof consumers.fields>
