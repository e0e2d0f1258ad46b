import type { CertificatePair, CertificateTable } from '#listen/certificates.ts'
import type { Document } from '#model/document.ts'

/** Brings the table to the certificates and server names of the configuration. */
export function updateCertificates(table: CertificateTable, documents: (kind: string) => Iterable<Document>): void {
  const pairs: CertificatePair[] = [...documents('certificates')].map((document) => ({
    id: document.id,
    cert: document['cert'] as string,
    key: document['key'] as string,
    certAlt: (document['cert_alt'] as string | null) ?? null,
    keyAlt: (document['key_alt'] as string | null) ?? null,
  }))
  const names = [...documents('snis')].map(
    (document) => [(document['name'] as string).toLowerCase(), (document['certificate'] as { id: string }).id] as const,
  )
  table.update(pairs, new Map(names))
}
