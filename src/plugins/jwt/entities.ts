import { defineEntity, t, type Static } from '#model/schema.ts'

/** The credentials or rows of a plugin: `jwt_secrets`. */
export const jwtSecrets = defineEntity({
  kind: 'jwt_secrets',
  plugin: 'jwt',
  about: 'Rows of `jwt_secrets`.',
  on_demand: true,
  endpoint_key: 'key',
  cache_key: ['key'],
  workspaceable: true,
  admin_api_name: 'jwts',
  admin_api_nested_name: 'jwt',
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    consumer: t.foreign('consumers', { required: true, on_delete: 'cascade' }),
    key: t.string({ required: false, auto: true, unique: true }),
    secret: t.string({ auto: true, encrypted: true }),
    rsa_public_key: t.string(),
    algorithm: t.string({
      default: 'HS256',
      one_of: [
        'HS256',
        'HS384',
        'HS512',
        'RS256',
        'RS384',
        'RS512',
        'ES256',
        'ES384',
        'ES512',
        'PS256',
        'PS384',
        'PS512',
        'EdDSA',
      ],
    }),
    tags: t.tags(),
  },
  checks: [
    {
      rule: 'conditional',
      if_field: 'algorithm',
      if_match: {
        match_any: { patterns: ['^RS256$', '^RS384$', '^RS512$', '^PS256$', '^PS384$', '^PS512$', '^EdDSA$'] },
      },
      then_field: 'rsa_public_key',
      then_match: { required: true, validator: 'jwt_public_key' },
    },
  ],
})
export type JwtSecrets = Static<typeof jwtSecrets.fields>
