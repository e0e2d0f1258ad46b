/** The certificates that were got here, as the configuration has them. */
import type { X509Certificate } from 'node:crypto'
import type { Row } from '#model/document.ts'
import type { StateReader } from '#store/contract.ts'
import { certificatesOf } from './certificate-facts.ts'
import { isManaged, MANAGED_TAG } from './certificate-write.ts'

export interface ManagedCertificate {
  readonly name: string
  readonly certificate: X509Certificate
}

const PAGE = 500

/** Every server name with such a certificate, in any workspace. */
export async function* managedCertificates(state: StateReader): AsyncGenerator<ManagedCertificate> {
  const filter = { tags: { match: 'all', values: [MANAGED_TAG] } } as const
  let offset: string | undefined
  do {
    const page = await state.list('certificates', filter, { size: PAGE, ...(offset !== undefined && { offset }) })
    for (const row of page.rows) {
      const certificate = leafOf(row)
      if (certificate === null) continue
      const reference = { field: 'certificate', id: row.document.id }
      const names = await state.list('snis', { reference }, { size: PAGE })
      for (const { document } of names.rows) yield { name: String(document['name']), certificate }
    }
    offset = page.offset
  } while (offset !== undefined)
}

/** The certificate that is shown for exactly this name, whoever brought it; null for none. */
export async function certificateFor(state: StateReader, name: string): Promise<X509Certificate | null> {
  const row = await rowFor(state, name)
  return row === undefined ? null : leafOf(row)
}

/** The same of one that was got here. */
export async function managedCertificateFor(state: StateReader, name: string): Promise<X509Certificate | null> {
  const row = await rowFor(state, name)
  return row === undefined || !isManaged(row.document) ? null : leafOf(row)
}

async function rowFor(state: StateReader, name: string): Promise<Row | undefined> {
  // Names are unique over all workspaces.
  const sni = await state.lookup('snis', 'name', name, '')
  if (sni === undefined) return undefined
  return await state.get('certificates', (sni.document['certificate'] as { readonly id: string }).id)
}

/** Null where an operator put a reference to a vault in its place. */
function leafOf({ document }: Row): X509Certificate | null {
  return certificatesOf(String(document['cert']))[0] ?? null
}
