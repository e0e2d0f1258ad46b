import { defineEntity, t, type Static } from '#model/schema.ts'

/** The credentials or rows of a plugin: `acme_storage`. */
export const acmeStorage = defineEntity({
  kind: 'acme_storage',
  plugin: 'acme',
  about: 'Rows of `acme_storage`.',
  on_demand: true,
  cache_key: ['key'],
  ttl: true,
  fields: {
    id: t.uuid(),
    key: t.string({ required: true, auto: true, unique: true }),
    value: t.string({ required: true, auto: true, encrypted: true }),
    created_at: t.autoTimestampS(),
  },
})
export type AcmeStorage = Static<typeof acmeStorage.fields>
