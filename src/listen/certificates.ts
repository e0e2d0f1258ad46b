/** Server certificates by name, made into TLS contexts when first needed (Kong: exact name, wildcard left, wildcard right, `*`). */
import { createSecureContext, type SecureContext } from 'node:tls'

export interface CertificatePair {
  readonly id: string
  readonly cert: string
  readonly key: string
  readonly certAlt: string | null
  readonly keyAlt: string | null
}

export class CertificateTable {
  #byName = new Map<string, string>()
  #pairs = new Map<string, CertificatePair>()
  #contexts = new Map<string, SecureContext | null>()
  /** PEM of the authorities that are named to clients; undefined for none. */
  #authorities: string[] | undefined
  #failed: (id: string, error: unknown) => void

  /** @param failed told when a certificate can't be used; the handshake then gets the fallback. */
  constructor(failed: (id: string, error: unknown) => void) {
    this.#failed = failed
  }

  /** Takes what there is now; contexts of certificates that did not change are kept. */
  update(pairs: readonly CertificatePair[], names: ReadonlyMap<string, string>): void {
    const before = this.#pairs
    this.#pairs = new Map(pairs.map((pair) => [pair.id, pair]))
    this.#byName = new Map(names)
    for (const id of this.#contexts.keys()) {
      const old = before.get(id)
      const pair = this.#pairs.get(id)
      if (
        old === undefined ||
        pair === undefined ||
        pair.cert !== old.cert ||
        pair.key !== old.key ||
        pair.certAlt !== old.certAlt ||
        pair.keyAlt !== old.keyAlt
      )
        this.#contexts.delete(id)
    }
  }

  /** Names these authorities in handshakes to come, where clients are asked for certificates. */
  nameAuthorities(authorities: string[] | undefined): void {
    if (this.#authorities?.join() === authorities?.join()) return
    this.#authorities = authorities
    this.#contexts.clear()
  }

  /** Whether there is a certificate for the name, usable or not. */
  has(servername: string): boolean {
    return this.#idOf(servername) !== undefined
  }

  find(servername: string): SecureContext | undefined {
    const id = this.#idOf(servername)
    if (id === undefined) return undefined
    let context = this.#contexts.get(id)
    if (context === undefined) this.#contexts.set(id, (context = this.#open(id)))
    return context ?? undefined
  }

  #idOf(servername: string): string | undefined {
    return (
      this.#byName.get(servername) ??
      this.#byName.get(leftWildcard(servername)) ??
      this.#byName.get(rightWildcard(servername)) ??
      this.#byName.get('*')
    )
  }

  #open(id: string): SecureContext | null {
    const pair = this.#pairs.get(id)
    if (pair === undefined) return null
    try {
      return createSecureContext({
        cert: pair.certAlt === null ? pair.cert : [pair.cert, pair.certAlt],
        key: pair.keyAlt === null ? pair.key : [pair.key, pair.keyAlt],
        ca: this.#authorities,
      })
    } catch (error) {
      this.#failed(id, error)
      return null
    }
  }
}

function leftWildcard(name: string): string {
  const dot = name.indexOf('.')
  return dot < 0 ? '' : '*' + name.slice(dot)
}

function rightWildcard(name: string): string {
  const dot = name.lastIndexOf('.')
  return dot < 0 ? '' : name.slice(0, dot) + '.*'
}
