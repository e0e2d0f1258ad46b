/** Whether the certificates of a connection are good, decided once for it and remembered for a while. */
import { X509Certificate } from 'node:crypto'
import type { Document, EntityReader } from '#pdk'
import { findTrustedPath, type Anchor } from './path.ts'
import { commonName, namesOf } from './pki.ts'
import type { Revocations } from './revocation.ts'

export interface TrustedClient {
  /** Id of the authority. */
  readonly authority: string
  /** Alternative names, else the common name. */
  readonly names: readonly string[]
  readonly commonName: string | null
}

/** Null is 'not to be trusted'. */
export type Verdict = TrustedClient | null

type Shown = readonly X509Certificate[]

interface Kept {
  readonly anchors: readonly Anchor[]
  readonly untilMs: number
  verdict: Verdict | Promise<Verdict>
}

export interface VerdictRules {
  readonly ids: readonly string[]
  readonly allowsPartial: boolean
  readonly keepMs: number
  /** Null skips the question. */
  readonly revocations: Revocations | null
  /** Whether a certificate whose state can't be found out is refused. */
  readonly isStrict: boolean
}

export class Verdicts {
  readonly #rules: VerdictRules
  readonly #entities: EntityReader
  /** By what the connection showed, so that nothing is kept longer than the connection. */
  readonly #kept = new WeakMap<Shown, Kept>()
  #documents: readonly (Document | null)[] = []
  #anchors: readonly Anchor[] = []

  constructor(rules: VerdictRules, entities: EntityReader) {
    this.#rules = rules
    this.#entities = entities
  }

  /** At once, where it is known. Rejects with STORE_UNAVAILABLE when the authorities can't be read. */
  of(shown: Shown, nowMs: number): Verdict | Promise<Verdict> {
    const documents = this.#rules.ids.map((id) => this.#entities.get('ca_certificates', id))
    if (!documents.some((one) => one instanceof Promise))
      return this.#decide(shown, documents as (Document | null)[], nowMs)
    const later = documents.map(async (one) => await one)
    return Promise.all(later).then((all) => this.#decide(shown, all, nowMs))
  }

  #decide(shown: Shown, documents: readonly (Document | null)[], nowMs: number): Verdict | Promise<Verdict> {
    const anchors = this.#anchorsOf(documents)
    const kept = this.#kept.get(shown)
    if (kept !== undefined && kept.anchors === anchors && nowMs < kept.untilMs) return kept.verdict
    const verdict = this.#find(shown, anchors, nowMs)
    const entry: Kept = { anchors, untilMs: nowMs + this.#rules.keepMs, verdict }
    this.#kept.set(shown, entry)
    return verdict.then((found) => (entry.verdict = found))
  }

  /** The same list as before while no authority has changed. */
  #anchorsOf(documents: readonly (Document | null)[]): readonly Anchor[] {
    if (documents.length === this.#documents.length && documents.every((one, at) => one === this.#documents[at]))
      return this.#anchors
    this.#documents = documents
    this.#anchors = documents.flatMap((one) =>
      one === null ? [] : [{ id: one.id, certificate: new X509Certificate(one['cert'] as string) }],
    )
    return this.#anchors
  }

  async #find(shown: Shown, anchors: readonly Anchor[], nowMs: number): Promise<Verdict> {
    const { allowsPartial, revocations, isStrict } = this.#rules
    const path = await findTrustedPath(shown, anchors, allowsPartial, nowMs)
    if (path === null) return null
    if (revocations !== null) {
      const state = await revocations.stateOf(path, nowMs)
      if (state === 'revoked' || (state === 'unknown' && isStrict)) return null
    }
    const own = path.parsed[0]!
    return { authority: path.anchor.id, names: namesOf(own), commonName: commonName(own) }
  }
}
