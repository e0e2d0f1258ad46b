/** Server certificates by name, made into TLS contexts when first needed (Kong: exact name, wildcard left, wildcard right, `*`). */
import { createSecureContext, type SecureContext } from 'node:tls'
import { keyKindOf, type KeyKind } from './key-kind.ts'

export interface CertificatePair {
  readonly id: string
  readonly cert: string
  readonly key: string
  readonly certAlt: string | null
  readonly keyAlt: string | null
}

interface Opened {
  readonly context: SecureContext
  readonly kind: KeyKind
}

const NO_SIGNATURES = (): readonly string[] => []

export class CertificateTable {
  #byName = new Map<string, string>()
  #pairs = new Map<string, CertificatePair>()
  /** Of each certificate with its alternative those that can be used, the one with the smaller signatures first. */
  #contexts = new Map<string, readonly Opened[]>()
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

  /**
   * @param signatures what the client can verify, asked for where there is a choice. Node gives a connection one certificate only
   * of a context with two: which one it should be is for us to say.
   */
  find(servername: string, signatures: () => readonly string[] = NO_SIGNATURES): SecureContext | undefined {
    const id = this.#idOf(servername)
    if (id === undefined) return undefined
    let opened = this.#contexts.get(id)
    if (opened === undefined) this.#contexts.set(id, (opened = this.#open(id)))
    return (opened.length < 2 ? opened[0] : choose(opened, signatures()))?.context
  }

  #idOf(servername: string): string | undefined {
    return (
      this.#byName.get(servername) ??
      this.#byName.get(leftWildcard(servername)) ??
      this.#byName.get(rightWildcard(servername)) ??
      this.#byName.get('*')
    )
  }

  #open(id: string): readonly Opened[] {
    const pair = this.#pairs.get(id)
    if (pair === undefined) return []
    const { cert, key, certAlt, keyAlt } = pair
    try {
      const opened = [this.#opened(cert, key)]
      if (certAlt !== null && keyAlt !== null) opened.push(this.#opened(certAlt, keyAlt))
      return opened.toSorted((a, b) => Number(a.kind.isRsa) - Number(b.kind.isRsa))
    } catch (error) {
      this.#failed(id, error)
      return []
    }
  }

  #opened(cert: string, key: string): Opened {
    return { context: createSecureContext({ cert, key, ca: this.#authorities }), kind: keyKindOf(cert) }
  }
}

/** The first that the client can verify; a client that names no algorithms is an old one and gets the last. */
function choose(opened: readonly Opened[], signatures: readonly string[]): Opened | undefined {
  return opened.find(({ kind }) => signatures.some((one) => one.startsWith(kind.signature))) ?? opened.at(-1)
}

function leftWildcard(name: string): string {
  const dot = name.indexOf('.')
  return dot < 0 ? '' : '*' + name.slice(dot)
}

function rightWildcard(name: string): string {
  const dot = name.lastIndexOf('.')
  return dot < 0 ? '' : name.slice(0, dot) + '.*'
}
