/** Puts a certificate that was got into the configuration, as an operator would: with the server name that it is for. */
import type { CheckContext, Checked, Model } from '#model/contract.ts'
import type { Document, Row } from '#model/document.ts'
import type { Operation, StateReader } from '#store/contract.ts'
import type { Writer } from '#store/writer.ts'

/** Kong's: what has this tag is renewed, and may be replaced. */
export const MANAGED_TAG = 'managed-by-acme'

export interface IssuedCertificate {
  readonly name: string
  /** Where its entities are to be, unless the name is in another workspace already. */
  readonly workspace: string
  /** PEM, with the certificates by which it is signed. */
  readonly cert: string
  /** PEM. */
  readonly key: string
}

export interface WriteParts {
  readonly model: Model
  readonly writer: Writer
  readonly check: () => CheckContext
}

/** The revision; or why it can't be written. Rejects when the store fails. */
export async function writeCertificate(
  parts: WriteParts,
  issued: IssuedCertificate,
): Promise<{ readonly revision: number } | { readonly problem: string }> {
  const result = await parts.writer.write<string>((state) => plan(parts, state, issued), {
    origin: { actor: 'acme', via: 'acme' },
  })
  switch (result.outcome) {
    case 'appended':
    case 'unchanged':
      return { revision: result.revision }
    case 'refused':
      return { problem: result.refusal }
    case 'unavailable':
      return { problem: `the certificate can't be written: ${result.reason}` }
    default:
      return { problem: `the certificate can't be written: ${result.outcome}` }
  }
}

async function plan(
  { model, check }: WriteParts,
  state: StateReader,
  { name, workspace: wanted, cert, key }: IssuedCertificate,
) {
  const context = check()
  const sni = await state.lookup('snis', 'name', name, wanted)
  const workspace = sni?.workspace ?? wanted
  const current = sni === undefined ? undefined : await state.get('certificates', certificateOf(sni.document))
  const operations: Operation[] = []
  const put = (kind: string, checked: Checked, insert: boolean): Document | null => {
    if (!checked.ok) return null
    operations.push({ op: 'put', kind, workspace, document: checked.document, ...(insert && { insert }) })
    return checked.document
  }
  const fields = { cert, key, cert_alt: null, key_alt: null }
  if (current !== undefined && (await isOurs(state, current))) {
    const renewed = put('certificates', model.update('certificates', current.document, fields, context), false)
    return renewed === null ? { refusal: REFUSED } : { operations }
  }
  const made = put('certificates', model.insert('certificates', { cert, key, tags: [MANAGED_TAG] }, context), true)
  if (made === null) return { refusal: REFUSED }
  const certificate = { id: made.id }
  const named =
    sni === undefined
      ? put('snis', model.insert('snis', { name, certificate, tags: [MANAGED_TAG] }, context), true)
      : put('snis', model.update('snis', sni.document, { certificate }, context), false)
  return named === null ? { refusal: REFUSED } : { operations }
}

const REFUSED = 'what the authority sent is no certificate for the key'

/** Whether it was got here, and for one name only: one that an operator brought stays as it is. */
async function isOurs(state: StateReader, { document }: Row): Promise<boolean> {
  if (!isManaged(document)) return false
  const { rows } = await state.list('snis', { reference: { field: 'certificate', id: document.id } }, { size: 2 })
  return rows.length === 1
}

export function isManaged({ tags }: Document): boolean {
  return Array.isArray(tags) && tags.includes(MANAGED_TAG)
}

function certificateOf(sni: Document): string {
  return (sni['certificate'] as { readonly id: string }).id
}
