import { defineEntity, t, type Static } from '#model/schema.ts'

/** The credentials or rows of a plugin: `basicauth_credentials`. */
export const basicauthCredentials = defineEntity({
  kind: 'basicauth_credentials',
  plugin: 'basic-auth',
  about: 'Rows of `basicauth_credentials`.',
  on_demand: true,
  endpoint_key: 'username',
  cache_key: ['username'],
  workspaceable: true,
  admin_api_name: 'basic-auths',
  admin_api_nested_name: 'basic-auth',
  transformations: [{ input: ['password'], needs: ['consumer.id'], apply: 'basic_auth_password' }],
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    consumer: t.foreign('consumers', { required: true, on_delete: 'cascade' }),
    username: t.string({ required: true, unique: true }),
    password: t.string({ required: true, encrypted: true }),
    tags: t.tags(),
  },
})
export type BasicauthCredentials = Static<typeof basicauthCredentials.fields>
