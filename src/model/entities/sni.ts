import { defineEntity, t, type Static } from '#model/schema.ts'

/** A server name that a certificate answers for. */
export const snis = defineEntity({
  kind: 'snis',
  about: 'A server name that a certificate answers for.',
  endpoint_key: 'name',
  workspaceable: true,
  fields: {
    id: t.uuid(),
    name: t.wildcardHost({ required: true, unique: true, unique_across_ws: true }),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    tags: t.tags(),
    certificate: t.foreign('certificates', { required: true }),
  },
})
export type Sni = Static<typeof snis.fields>
