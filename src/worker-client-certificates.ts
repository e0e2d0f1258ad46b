/** What plugins want of TLS handshakes: whether clients are asked for a certificate, and which authorities are named. */
import type { CertificateWish } from '#listen/client-certificates.ts'
import type { Document } from '#model/document.ts'
import type { AnyPlugin } from '#pdk/pdk.ts'
import type { SnapshotUpdate } from '#snapshot/update.ts'

type Documents = (kind: string) => Iterable<Document>

export class CertificateWishes {
  readonly #plugins: ReadonlyMap<string, NonNullable<AnyPlugin['wantsCertificates']>>
  readonly #changed: (wish: CertificateWish | null) => void
  #before = 'null'

  /** @param changed told when something else is wanted than before; nothing is wanted at first. */
  constructor(plugins: readonly AnyPlugin[], changed: (wish: CertificateWish | null) => void) {
    this.#plugins = new Map(
      plugins.flatMap(({ schema, wantsCertificates }) => (wantsCertificates ? [[schema.name, wantsCertificates]] : [])),
    )
    this.#changed = changed
  }

  /** To be called after each change. */
  update(update: SnapshotUpdate, documents: Documents): void {
    if (!update.isWhole && !update.changes.some(({ kind }) => kind === 'plugins' || kind === 'ca_certificates')) return
    const wish = this.#wish(documents)
    const text = JSON.stringify(wish)
    if (text === this.#before) return
    this.#before = text
    this.#changed(wish)
  }

  #wish(documents: Documents): CertificateWish | null {
    const ids = new Set<string>()
    let isWanted = false
    let isOpen = false
    for (const document of documents('plugins')) {
      const wants = document['enabled'] === false ? undefined : this.#plugins.get(document['name'] as string)
      if (wants === undefined) continue
      isWanted = true
      const named = wants(document['config'] as Readonly<Record<string, unknown>>)
      // The handshake is before any route is known: a client is told of some authorities only where that is all that anybody takes.
      if (named.length === 0) isOpen = true
      for (const id of named) ids.add(id)
    }
    if (!isWanted) return null
    if (isOpen) return { names: [] }
    const authorities = [...documents('ca_certificates')].filter(({ id }) => ids.has(id))
    return { names: authorities.map((document) => document['cert'] as string) }
  }
}
