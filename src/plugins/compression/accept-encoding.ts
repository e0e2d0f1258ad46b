/** Which encoding a client takes (RFC 9110 12.5.3). */

export type Encoding = 'zstd' | 'br' | 'gzip'

export interface Choice {
  /** Null: none of ours, or the client would rather have the body as it is. */
  readonly encoding: Encoding | null
  /** Whether it says not to take the body as it is. */
  readonly refusesIdentity: boolean
}

const NOTHING: Choice = { encoding: null, refusesIdentity: false }
/** A token, and a weight of up to three decimals; an element in another form says nothing. */
const ELEMENT = /^([!#$%&'*+.^_`|~0-9a-z-]+)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/
/** Elements looked at: browsers send five. */
const MOST_ELEMENTS = 32
/** Texts whose choice is remembered: there are as many as there are kinds of clients. */
const MOST_REMEMBERED = 200

/** Chooses by weight, and of the same weight the first in the operator's order. */
export class EncodingChoice {
  readonly #ours: readonly Encoding[]
  readonly #remembered = new Map<string, Choice>()

  constructor(ours: readonly Encoding[]) {
    this.#ours = [...new Set(ours)]
  }

  /** `accepted` is the value of Accept-Encoding, several joined by a comma; null where there is none. */
  of(accepted: string | null): Choice {
    if (accepted === null) return NOTHING
    const remembered = this.#remembered.get(accepted)
    if (remembered !== undefined) return remembered
    const choice = this.#choose(accepted)
    // Who sends a new one with each request only empties it.
    if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear()
    this.#remembered.set(accepted, choice)
    return choice
  }

  #choose(accepted: string): Choice {
    const weights = new Map<string, number>()
    for (const part of accepted.toLowerCase().split(',', MOST_ELEMENTS)) {
      const match = ELEMENT.exec(part.trim())
      if (match === null) continue
      // RFC 9110 8.4.1.3.
      const coding = match[1] === 'x-gzip' ? 'gzip' : match[1]!
      if (!weights.has(coding)) weights.set(coding, match[2] === undefined ? 1 : Number(match[2]))
    }
    const rest = weights.get('*') ?? 0
    const identity = weights.get('identity')
    let best: Encoding | null = null
    let bestWeight = 0
    for (const one of this.#ours) {
      const weight = weights.get(one) ?? rest
      if (weight > bestWeight) {
        best = one
        bestWeight = weight
      }
    }
    if (identity !== undefined && identity > bestWeight) best = null
    return { encoding: best, refusesIdentity: (identity ?? (weights.has('*') ? rest : 1)) === 0 }
  }
}
