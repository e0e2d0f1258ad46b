import { defineEntity, t, type Static } from '#model/schema.ts'

/** The credentials or rows of a plugin: `keyauth_credentials`. */
export const keyauthCredentials = defineEntity({
  kind: 'keyauth_credentials',
  plugin: 'key-auth',
  about: 'Rows of `keyauth_credentials`.',
  on_demand: true,
  endpoint_key: 'key',
  cache_key: ['key'],
  workspaceable: true,
  admin_api_name: 'key-auths',
  admin_api_nested_name: 'key-auth',
  ttl: true,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    consumer: t.foreign('consumers', { required: true, on_delete: 'cascade' }),
    key: t.string({ required: false, auto: true, unique: true, encrypted: true }),
    tags: t.tags(),
  },
})
export type KeyauthCredentials = Static<typeof keyauthCredentials.fields>
