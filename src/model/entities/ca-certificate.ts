import { defineEntity, t, type Static } from '#model/schema.ts'

/** A trusted certificate authority. */
export const caCertificates = defineEntity({
  kind: 'ca_certificates',
  about: 'A trusted certificate authority.',
  fields: {
    id: t.uuid(),
    created_at: t.autoTimestampS(),
    updated_at: t.autoTimestampS(),
    cert: t.certificate({ required: true }),
    cert_digest: t.string({ unique: true }),
    tags: t.tags(),
  },
  transformations: [{ input: ['cert'], apply: 'certificate_digest', isRepeatable: true }],
  checks: [
    {
      rule: 'custom',
      name: 'ca_certificate',
      fields: ['cert'],
      meaning: 'single PEM certificate only; notAfter in the future; basicConstraints CA must be true',
      errors: [
        'please submit only one certificate at a time',
        'certificate expired, "Not After" time is in the past',
        'certificate does not appear to be a CA because it is missing the "CA" basic constraint',
      ],
    },
  ],
})
export type CaCertificate = Static<typeof caCertificates.fields>
