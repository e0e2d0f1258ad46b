import { defineEntity, t, type Static } from '#model/schema.ts'

/** The credentials or rows of a plugin: `acls`. */
export const acls = defineEntity({
  kind: 'acls',
  plugin: 'acl',
  about: 'Rows of `acls`.',
  on_demand: true,
  cache_key: ['consumer', 'group'],
  workspaceable: true,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    consumer: t.foreign('consumers', { required: true, on_delete: 'cascade' }),
    group: t.string({ required: true }),
    tags: t.tags(),
  },
})
export type Acls = Static<typeof acls.fields>
