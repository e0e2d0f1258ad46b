/** Going back to an earlier revision, as a new one; and what people read before they do. */
import { GatewayError } from '#core/errors.ts'
import { canonicalJson } from './canonical.ts'
import { differencesBetween, type Difference } from './changes-between.ts'
import type { ConfigStore, Operation } from './contract.ts'
import type { Secrets } from './secrets.ts'

/** A field that differs; a secret shows only that it does. */
export interface FieldDifference {
  readonly field: string
  readonly from: unknown
  readonly to: unknown
}
export interface EntityDifference {
  readonly kind: string
  readonly workspace: string
  readonly id: string
  readonly change: 'created' | 'updated' | 'deleted'
  readonly fields: readonly FieldDifference[]
}

/**
 * The operations that make the state what it was at a revision. Deletions come first, so that names are free again for what
 * comes back; what their cascades take is put back, since it then stood otherwise and so is among the differences.
 * Fails with `LOG_TRUNCATED` when the log no longer reaches back that far.
 */
export async function rollbackOperations(
  store: ConfigStore,
  toRevision: number,
  headRevision: number,
): Promise<readonly Operation[]> {
  if (toRevision > headRevision)
    throw new GatewayError('LOG_TRUNCATED', `expected a revision up to ${headRevision}, got ${toRevision}`)
  const differences = await differencesBetween(store, headRevision, toRevision)
  const changed = differences.filter(({ from, to }) => canonicalJson(from) !== canonicalJson(to))
  const deletions = changed.filter(({ to }) => to === null)
  return [
    ...deletions.map(({ kind, workspace, id }): Operation => ({ op: 'delete', kind, workspace, id })),
    ...changed.flatMap(({ kind, workspace, to }): Operation[] =>
      to ? [{ op: 'put', kind, workspace, document: to }] : [],
    ),
  ]
}

/** The differences between two revisions as people read them: per entity the fields that differ, without any secret. */
export async function diffRevisions(
  store: ConfigStore,
  secrets: Secrets,
  from: number,
  to: number,
): Promise<readonly EntityDifference[]> {
  const differences = await differencesBetween(store, from, to)
  return differences.map((difference) => describe(difference, secrets)).filter(({ fields }) => fields.length > 0)
}

function describe({ kind, workspace, id, from, to }: Difference, secrets: Secrets): EntityDifference {
  const shownFrom = from && secrets.redact(kind, from)
  const shownTo = to && secrets.redact(kind, to)
  const names = [...new Set([...Object.keys(from ?? {}), ...Object.keys(to ?? {})])].sort()
  const fields = names
    .filter((name) => canonicalJson(from?.[name] ?? null) !== canonicalJson(to?.[name] ?? null))
    .map((field) => ({ field, from: shownFrom?.[field] ?? null, to: shownTo?.[field] ?? null }))
  const change = from === null ? 'created' : to === null ? 'deleted' : 'updated'
  return { kind, workspace, id, change, fields }
}
