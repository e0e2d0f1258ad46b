import { defineEntity, t, type Static } from '#model/schema.ts'

/** A cluster-wide named value. */
export const parameters = defineEntity({
  kind: 'parameters',
  about: 'A cluster-wide named value.',
  primary_key: ['key'],
  cache_key: ['key'],
  workspaceable: false,
  generate_admin_api: false,
  fields: {
    created_at: t.autoTimestampS(),
    key: t.string({ required: true, unique: true }),
    value: t.string({ required: true }),
  },
})
export type Parameter = Static<typeof parameters.fields>
