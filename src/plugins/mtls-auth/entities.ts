import { defineEntity, t, type Static } from '#model/schema.ts'

/** Which consumer a certificate is of, by a name in it: `mtls_auth_credentials`. */
export const mtlsAuthCredentials = defineEntity({
  kind: 'mtls_auth_credentials',
  plugin: 'mtls-auth',
  about: 'Rows of `mtls_auth_credentials`.',
  on_demand: true,
  cache_key: ['subject_name'],
  workspaceable: true,
  admin_api_name: 'mtls-auths',
  admin_api_nested_name: 'mtls-auth',
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    consumer: t.foreign('consumers', { required: true, on_delete: 'cascade' }),
    subject_name: t.string({ required: true, unique: true }),
    ca_certificate: t.foreign('ca_certificates'),
    tags: t.tags(),
  },
})
export type MtlsAuthCredentials = Static<typeof mtlsAuthCredentials.fields>
