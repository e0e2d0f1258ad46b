import { defineEntity, t, type Static } from '#model/schema.ts'

/** A certificate with its private key. */
export const certificates = defineEntity({
  kind: 'certificates',
  about: 'A certificate with its private key.',
  workspaceable: true,
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    cert: t.certificate({ required: true, referenceable: true }),
    key: t.key({ required: true, referenceable: true, encrypted: true }),
    cert_alt: t.certificate({ required: false, referenceable: true }),
    key_alt: t.key({ required: false, referenceable: true, encrypted: true }),
    tags: t.tags(),
    snis: t.array(t.wildcardHost(), { required: false, transient: true }),
  },
  checks: [
    { rule: 'mutually_required', fields: ['cert_alt', 'key_alt'] },
    {
      rule: 'custom',
      name: 'certificate_matches_key',
      fields: ['cert', 'key'],
      meaning: 'public key of cert equals public part of key',
      errors: ['certificate does not match key'],
    },
    {
      rule: 'custom',
      name: 'alternative_certificate_matches_key',
      fields: ['cert_alt', 'key_alt'],
      meaning: 'public key of cert_alt equals public part of key_alt',
      errors: ['alternative certificate does not match key'],
    },
    {
      rule: 'custom',
      name: 'certificates_differ_in_type',
      fields: ['cert', 'cert_alt'],
      meaning: 'cert and cert_alt must use different key types (e.g. RSA vs ECDSA)',
      errors: [
        'certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), the provided certificates were both of the same type',
      ],
    },
  ],
})
export type Certificate = Static<typeof certificates.fields>
