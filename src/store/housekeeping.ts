/** What a store needs done now and then: rows whose time to live is over are deleted, the log is cut to what is kept. */
import type { ConfigStore, Origin, Retention } from './contract.ts'
import type { Writer } from './writer.ts'

export interface HousekeepingOptions {
  readonly store: ConfigStore
  readonly writer: Writer
  readonly nowMs: () => number
  readonly retention: Pick<Retention, 'revisions' | 'ageMs'>
  /** The revision that the slowest live node has passed, when there are other nodes. */
  readonly neededAfter?: () => number | undefined
}

/** Rows deleted in one transaction. */
const EXPIRED_ROWS = 1000
const ORIGIN: Origin = { actor: 'meridian', via: 'expiry' }

/** One round; whoever starts it repeats it and logs its failure. Several nodes may do so at once: a second finds nothing to do. */
export async function keepHouse({ store, writer, nowMs, retention, neededAfter }: HousekeepingOptions): Promise<void> {
  while ((await deleteExpired(store, writer, nowMs())) === EXPIRED_ROWS);
  const needed = neededAfter?.()
  await store.truncate({ ...retention, nowMs: nowMs(), ...(needed === undefined ? {} : { neededAfter: needed }) })
}

/** The number of rows found; they are gone already for every reader, and now leave the files as well. */
async function deleteExpired(store: ConfigStore, writer: Writer, atMs: number): Promise<number> {
  let found = 0
  const result = await writer.write(
    async () => {
      const expired = await store.expired(atMs, EXPIRED_ROWS)
      found = expired.length
      return { operations: expired.map(({ kind, workspace, id }) => ({ op: 'delete', kind, workspace, id })) }
    },
    { origin: ORIGIN },
  )
  // What could not be deleted now is found again in the next round.
  return result.outcome === 'appended' ? found : 0
}
