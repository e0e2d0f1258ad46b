import { defineEntity, t, type Static } from '#model/schema.ts'

/** A public or private key, as JWK or PEM. */
export const keys = defineEntity({
  kind: 'keys',
  about: 'A public or private key, as JWK or PEM.',
  endpoint_key: 'name',
  cache_key: ['kid', 'set'],
  workspaceable: true,
  ttl: false,
  fields: {
    id: t.uuid(),
    set: t.foreign('key_sets', { required: false, on_delete: 'cascade' }),
    name: t.string({ required: false, unique: true }),
    kid: t.string({ required: true, unique: false }),
    jwk: t.string({ referenceable: true, encrypted: true }),
    pem: t.pem(),
    tags: t.tags(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
  },
  checks: [
    { rule: 'mutually_exclusive', fields: ['pem', 'jwk'] },
    { rule: 'at_least_one_of', fields: ['pem', 'jwk'] },
    {
      rule: 'custom',
      name: 'key_material',
      fields: ['jwk', 'pem', 'kid'],
      meaning:
        'jwk: JSON decodable, its kid equals the entity kid, loads as JWK, conforms to jwk record; pem: needs private_key or public_key; vault references skip checks',
      errors: [
        'could not json decode jwk string',
        'kid in jwk.kid must be equal to keys.kid',
        'could not load JWK, likely not a valid key',
        'need to supply a PEM formatted public and/or private key.',
      ],
    },
  ],
})
export type Key = Static<typeof keys.fields>
