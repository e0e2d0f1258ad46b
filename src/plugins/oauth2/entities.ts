import { defineEntity, t, type Static } from '#model/schema.ts'

/** The credentials or rows of a plugin: `oauth2_credentials`. */
export const oauth2Credentials = defineEntity({
  kind: 'oauth2_credentials',
  plugin: 'oauth2',
  about: 'Rows of `oauth2_credentials`.',
  on_demand: true,
  endpoint_key: 'client_id',
  cache_key: ['client_id'],
  workspaceable: true,
  admin_api_name: 'oauth2',
  transformations: [{ input: ['hash_secret'], needs: ['client_secret'], apply: 'client_secret' }],
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    consumer: t.foreign('consumers', { required: true, on_delete: 'cascade' }),
    name: t.string({ required: true }),
    client_id: t.string({ required: false, auto: true, unique: true }),
    client_secret: t.string({ required: false, auto: true, encrypted: true }),
    hash_secret: t.boolean({ required: true, default: false }),
    redirect_uris: t.array(t.string({ validator: 'redirect_uri' }), { required: false }),
    tags: t.tags(),
    client_type: t.string({ required: true, default: 'confidential', one_of: ['confidential', 'public'] }),
  },
})
export type Oauth2Credentials = Static<typeof oauth2Credentials.fields>

/** The credentials or rows of a plugin: `oauth2_authorization_codes`. */
export const oauth2AuthorizationCodes = defineEntity({
  kind: 'oauth2_authorization_codes',
  plugin: 'oauth2',
  about: 'Rows of `oauth2_authorization_codes`.',
  on_demand: true,
  workspaceable: true,
  generate_admin_api: false,
  ttl: true,
  db_export: false,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    service: t.foreign('services', { default: null, on_delete: 'cascade' }),
    credential: t.foreign('oauth2_credentials', { required: true, on_delete: 'cascade' }),
    code: t.string({ required: false, auto: true, unique: true, encrypted: true }),
    authenticated_userid: t.string({ required: false }),
    scope: t.string(),
    challenge: t.string({ required: false }),
    challenge_method: t.string({ required: false, one_of: ['S256'] }),
    plugin: t.foreign('plugins', { default: null, on_delete: 'cascade' }),
  },
})
export type Oauth2AuthorizationCodes = Static<typeof oauth2AuthorizationCodes.fields>

/** The credentials or rows of a plugin: `oauth2_tokens`. */
export const oauth2Tokens = defineEntity({
  kind: 'oauth2_tokens',
  plugin: 'oauth2',
  about: 'Rows of `oauth2_tokens`.',
  on_demand: true,
  endpoint_key: 'access_token',
  cache_key: ['access_token'],
  workspaceable: true,
  ttl: true,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    service: t.foreign('services', { default: null, on_delete: 'cascade' }),
    credential: t.foreign('oauth2_credentials', { required: true, on_delete: 'cascade' }),
    token_type: t.string({ required: true, default: 'bearer', one_of: ['bearer'] }),
    expires_in: t.integer({ required: true }),
    access_token: t.string({ required: false, auto: true, unique: true, encrypted: true }),
    refresh_token: t.string({ required: false, unique: true, encrypted: true }),
    authenticated_userid: t.string({ required: false }),
    scope: t.string(),
  },
})
export type Oauth2Tokens = Static<typeof oauth2Tokens.fields>
