/** Turns the effects of a transaction into its log entry and the rows to write: sealed, counted into the digests, chained. */
import { Turns } from '#core/turns.ts'
import type { Document } from '#model/document.ts'
import { canonicalJson } from './canonical.ts'
import { GatewayError } from '#core/errors.ts'
import { documentDigest, entryHash, verifyEntry } from './chain.ts'
import type { Head, LogEntry, Transaction, Violation } from './contract.ts'
import { DigestSum, type StoredRow } from './digest.ts'
import type { Effect } from './effects.ts'
import { digestsOf } from './filling.ts'
import type { Secrets } from './secrets.ts'

/** Bytes of sealed documents in one transaction: what every store and every node can still hold and send in one piece. */
export const TRANSACTION_LIMIT_BYTES = 64 * 1024 * 1024

/** Rows sealed between two turns of the event loop: about 5 ms. */
const ROWS_PER_TURN = 100

export interface SealedEffect {
  readonly effect: Effect
  /** Canonical sealed bytes of the new document, null when the entity is gone. */
  readonly sealed: string | null
  /** The row that it replaces, as it is stored. */
  readonly stored: StoredRow | undefined
}

export type Sealed =
  | { readonly ok: true; readonly entry: LogEntry; readonly effects: readonly SealedEffect[] }
  | { readonly ok: false; readonly violation: Violation }

/** `storedRow` gives the row as stored (sealed) that an effect replaces. */
export async function sealEntry(
  head: Head,
  transaction: Transaction,
  effects: readonly Effect[],
  secrets: Secrets,
  storedRow: (kind: string, id: string) => StoredRow | undefined,
): Promise<Sealed> {
  const revision = head.revision + 1
  const digests = new DigestSum(head.digests)
  const sealedEffects: SealedEffect[] = []
  let bytes = 0
  const turns = new Turns(ROWS_PER_TURN)
  for (const effect of effects) {
    await turns.step()
    const { kind, workspace, id, before, after } = effect
    const stored = before && storedRow(kind, id)
    const sealed = after && canonicalJson(secrets.seal(kind, after))
    bytes += Buffer.byteLength(sealed ?? '')
    if (stored) digests.remove(stored)
    if (sealed !== null) digests.add({ kind, workspace, id, revision, sealed })
    sealedEffects.push({ effect, sealed, stored })
  }
  if (bytes > TRANSACTION_LIMIT_BYTES) {
    return { ok: false, violation: { type: 'too_large', bytes, limitBytes: TRANSACTION_LIMIT_BYTES } }
  }
  const unsigned: Omit<LogEntry, 'hash'> = {
    revision,
    txid: transaction.txid,
    origin: transaction.origin,
    atMs: transaction.atMs,
    ...(transaction.members ? { members: transaction.members } : {}),
    previousHash: head.hash,
    effects: sealedEffects.map(({ effect: { kind, workspace, id }, sealed }) => ({
      kind,
      workspace,
      id,
      document: parse(sealed),
    })),
    before: sealedEffects.map(({ stored }) => parse(stored?.sealed ?? null)),
    payloads: sealedEffects.map(({ sealed, stored }) => ({
      after: digest(sealed),
      before: digest(stored?.sealed ?? null),
    })),
    digests: digests.digests(),
  }
  return { ok: true, entry: { ...unsigned, hash: entryHash(unsigned) }, effects: sealedEffects }
}

/** Where an entry leads from a head. Throws `COPY_DIVERGED` when it does not follow it. */
export function headAfter(head: Head, entry: LogEntry): Head {
  const verdict = verifyEntry(head, entry)
  if (!verdict.ok) throw new GatewayError('COPY_DIVERGED', verdict.reason)
  return { revision: entry.revision, hash: entry.hash, digests: entry.digests }
}

/** Kinds of which not all rows are there, and the digests of those that are: brought up to date, and not judged. */
export interface Unfilled {
  readonly kinds: ReadonlySet<string>
  readonly digests: DigestSum
}

const NOTHING_UNFILLED: Unfilled = { kinds: new Set(), digests: new DigestSum() }

/**
 * The effects of an entry that was decided elsewhere, as rows to write. Throws `COPY_DIVERGED` when the entry does not follow the
 * head, or when on the rows here it does not lead to the digests that it states.
 */
export function effectsOf(
  head: Head,
  entry: LogEntry,
  secrets: Secrets,
  storedRow: (kind: string, id: string) => StoredRow | undefined,
  unfilled: Unfilled | null = null,
): readonly SealedEffect[] {
  const { revision } = headAfter(head, entry)
  const { kinds, digests: partial } = unfilled ?? NOTHING_UNFILLED
  const whole = new DigestSum(digestsOf(head.digests, kinds, false))
  const gone = new Set<string>()
  const effects = entry.effects.map(({ kind, workspace, id, document }, index): SealedEffect => {
    const before = entry.before[index] ?? null
    const place = `${kind}\0${id}`
    // Of an entity that moves to another workspace the row is gone with the first of its two effects.
    const digests = kinds.has(kind) ? partial : whole
    const stored = gone.has(place) ? undefined : storedRow(kind, id)
    if (stored) digests.remove(stored)
    if (document === null) gone.add(place)
    const sealed = document && canonicalJson(document)
    if (sealed !== null) digests.add({ kind, workspace, id, revision, sealed })
    const row = stored && before && { kind, workspace, revision: stored.revision, document: secrets.open(kind, before) }
    return {
      effect: { kind, workspace, id, before: row ?? undefined, after: document && secrets.open(kind, document) },
      sealed,
      stored,
    }
  })
  if (!whole.equals(digestsOf(entry.digests, kinds, false))) {
    throw new GatewayError('COPY_DIVERGED', `revision ${revision}: the rows here are not those that its digests state`)
  }
  return effects
}

function parse(sealed: string | null): Document | null {
  return sealed === null ? null : (JSON.parse(sealed) as Document)
}

function digest(sealed: string | null): string | null {
  return sealed === null ? null : documentDigest(sealed)
}
