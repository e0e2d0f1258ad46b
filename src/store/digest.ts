/**
 * The state of each kind as one number: the sum, modulo 2^256, of the SHA-256 of its rows. A sum does not depend on the order
 * of the rows and is updated by what changed alone; two nodes, or a projection and its log, are compared by one value per kind.
 * The row's revision is part of its hash, so that a state put together from two revisions with equal values is found out.
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from './canonical.ts'

const MODULUS = 1n << 256n

/** What the digest says of a row: where it stands, the revision that wrote it, and its document as stored (sealed, canonical). */
export interface StoredRow {
  readonly kind: string
  readonly workspace: string
  readonly id: string
  readonly revision: number
  readonly sealed: string
}

export type Digests = Readonly<Record<string, string>>

/** Adds and removes rows, starting from the digests of a head. Kinds without rows have no entry. */
export class DigestSum {
  readonly #sums = new Map<string, bigint>()

  constructor(start: Digests = {}) {
    for (const [kind, hex] of Object.entries(start)) this.#sums.set(kind, BigInt(`0x${hex}`))
  }

  add(row: StoredRow): void {
    this.#sums.set(row.kind, ((this.#sums.get(row.kind) ?? 0n) + rowHash(row)) % MODULUS)
  }

  remove(row: StoredRow): void {
    this.#sums.set(row.kind, ((this.#sums.get(row.kind) ?? 0n) + MODULUS - rowHash(row)) % MODULUS)
  }

  forget(kind: string): void {
    this.#sums.delete(kind)
  }

  equals(digests: Digests): boolean {
    return canonicalJson(this.digests()) === canonicalJson(digests)
  }

  digests(): Digests {
    const kinds = [...this.#sums].filter(([, sum]) => sum !== 0n).sort(([a], [b]) => (a < b ? -1 : 1))
    return Object.fromEntries(kinds.map(([kind, sum]) => [kind, sum.toString(16).padStart(64, '0')]))
  }
}

function rowHash({ kind, workspace, id, revision, sealed }: StoredRow): bigint {
  // The first part is JSON, so it can't run into the document: no two rows give the same bytes.
  const hash = createHash('sha256')
    .update(JSON.stringify([kind, workspace, id, revision]))
    .update(sealed)
  return BigInt(`0x${hash.digest('hex')}`)
}
