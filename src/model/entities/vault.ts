import { defineEntity, t, type Static } from '#model/schema.ts'

/** A place from which secrets are referenced. */
export const vaults = defineEntity({
  kind: 'vaults',
  about: 'A place from which secrets are referenced.',
  endpoint_key: 'prefix',
  cache_key: ['prefix'],
  workspaceable: true,
  admin_api_name: 'vaults',
  subschemas: 'vaults',
  subschema_key: 'name',
  subschema_error: "vault '%s' is not installed",
  fields: {
    id: t.uuid(),
    prefix: t.string({
      required: true,
      unique: true,
      unique_across_ws: true,
      not_one_of: ['env'],
      match: '^[a-z][a-z0-9-]*?[a-z0-9]+$',
    }),
    name: t.string({ required: true }),
    description: t.string(),
    config: t.record({}, { abstract: true }),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    tags: t.tags(),
  },
})
export type Vault = Static<typeof vaults.fields>
