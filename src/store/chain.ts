/**
 * The hash chain over the log. An entry's hash covers the hash before it, everything the entry says, and the SHA-256 of each
 * document it carries (as sealed); not the documents themselves. So a document can be erased later (its digest stays) without
 * breaking the chain, and an entry that lost, gained or changed anything else does not verify.
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from './canonical.ts'
import type { Document } from '#model/document.ts'
import type { LogEntry } from './contract.ts'

/** The hash before revision 1. */
export const GENESIS_HASH = '0'.repeat(64)

/** SHA-256 (hex) of a sealed document's canonical bytes. */
export function documentDigest(sealed: string): string {
  return createHash('sha256').update(sealed).digest('hex')
}

/** The hash of an entry, from everything else that it says. */
export function entryHash(entry: Omit<LogEntry, 'hash'>): string {
  const { effects, before: _before, previousHash, ...said } = entry
  const places = effects.map(({ kind, workspace, id }) => [kind, workspace, id])
  return createHash('sha256')
    .update(previousHash)
    .update(canonicalJson({ ...said, effects: places }))
    .digest('hex')
}

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: string }

/** Whether the entry is the one that follows the head, unaltered. Documents that were erased are passed over. */
export function verifyEntry(head: { readonly revision: number; readonly hash: string }, entry: LogEntry): Verdict {
  const no = (reason: string): Verdict => ({ ok: false, reason: `revision ${entry.revision}: ${reason}` })
  if (entry.revision !== head.revision + 1) return no(`expected revision ${head.revision + 1}`)
  if (entry.previousHash !== head.hash)
    return no(`expected the hash before it to be ${head.hash}, got ${entry.previousHash}`)
  const { hash, ...said } = entry
  const expected = entryHash(said)
  if (hash !== expected) return no(`expected hash ${expected}, got ${hash}`)
  for (const [index, effect] of entry.effects.entries()) {
    const digest = entry.payloads[index]
    if (!digest) return no(`effect ${index} has no payload digests`)
    if (!matches(effect.document, digest.after))
      return no(`the document of effect ${index} is not the one that was written`)
    if (!matches(entry.before[index] ?? null, digest.before))
      return no(`the earlier document of effect ${index} is not the one that was replaced`)
  }
  return { ok: true }
}

/** Whether a document of the entry was erased: it is not a deletion, and what it was must come from elsewhere. */
export function hasErasure(entry: LogEntry): boolean {
  return entry.effects.some(({ document }, index) => document === null && entry.payloads[index]?.after !== null)
}

function matches(sealed: Document | null, digest: string | null): boolean {
  return sealed === null || documentDigest(canonicalJson(sealed)) === digest
}
