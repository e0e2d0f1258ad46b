import { defineEntity, t, type Static } from '#model/schema.ts'

/** The credentials or rows of a plugin: `hmacauth_credentials`. */
export const hmacauthCredentials = defineEntity({
  kind: 'hmacauth_credentials',
  plugin: 'hmac-auth',
  about: 'Rows of `hmacauth_credentials`.',
  on_demand: true,
  endpoint_key: 'username',
  cache_key: ['username'],
  workspaceable: true,
  admin_api_name: 'hmac-auths',
  admin_api_nested_name: 'hmac-auth',
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    consumer: t.foreign('consumers', { required: true, on_delete: 'cascade' }),
    username: t.string({ required: true, unique: true }),
    secret: t.string({ auto: true, encrypted: true }),
    tags: t.tags(),
  },
})
export type HmacauthCredentials = Static<typeof hmacauthCredentials.fields>
