import { defineEntity, t, type Static } from '#model/schema.ts'

/** A named set of keys. */
export const keySets = defineEntity({
  kind: 'key_sets',
  about: 'A named set of keys.',
  endpoint_key: 'name',
  workspaceable: true,
  admin_api_name: 'key-sets',
  ttl: false,
  fields: {
    id: t.uuid(),
    name: t.string({ required: false, unique: true }),
    tags: t.tags(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
  },
})
export type KeySet = Static<typeof keySets.fields>
