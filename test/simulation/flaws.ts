/** Ways to do the protocol wrongly, each of them once proposed or easily made: the checker has to see every one. */
import {
  CassandraFailure,
  type CassandraPort,
  type Selection,
  type Table,
  type TableRow,
} from '#store/cassandra/port.ts'
import type { CassandraStore } from '#store/cassandra/cassandra-store.ts'
import { CONFIG_LOG, ENTITIES, ENTITY_KEYS, EPOCHS, LOG_STATE } from '#store/cassandra/tables.ts'
import type { Operation } from '#store/contract.ts'
import type { LocalCopy } from '#store/local-copy.ts'
import type { Client } from './requests.ts'
import type { SimulatedCassandra } from './simulated-cassandra.ts'

export interface Flaw {
  readonly name: string
  /** Schedules within which it has to be seen. */
  readonly within: number
  /** The first seed in which it is: where a short run begins. */
  readonly seenBy: number
  readonly port?: (
    port: CassandraPort,
    at: { readonly cluster: SimulatedCassandra; readonly client: Client },
  ) => CassandraPort
  readonly copy?: (copy: LocalCopy) => LocalCopy
  readonly store?: (store: CassandraStore) => CassandraStore
  /** A crash loses what was written to the disk last. */
  readonly losesLastWrite?: boolean
}

export const FLAWS: readonly Flaw[] = [
  {
    name: 'the clock as timestamp of the projection, instead of the revision',
    within: 300,
    seenBy: 16,
    port: (port) => ({
      ...port,
      insertAll: (table, rows, { timestamp: _dropped, ...options }) => port.insertAll(table, rows, options),
    }),
  },
  {
    name: 'an insert that found its own row is a conflict',
    within: 600,
    seenBy: 4,
    port: (port) => ({
      ...port,
      insertIfAbsent: async (table, row, options) => {
        const result = await port.insertIfAbsent(table, row, options)
        if (result.isApplied || result.row?.txid !== row.txid) return result
        return { isApplied: false, row: { ...result.row, txid: 'another' } }
      },
    }),
  },
  {
    name: 'a time-out is taken for not done',
    within: 300,
    seenBy: 3,
    port: (port) => ({
      ...port,
      insertIfAbsent: (table, row, options) =>
        port.insertIfAbsent(table, row, options).catch((error: unknown) => {
          throw table === CONFIG_LOG && error instanceof CassandraFailure
            ? new CassandraFailure(error.reason, error.message, true)
            : error
        }),
    }),
  },
  {
    name: 'after a time-out a serial read that finds no row is taken for not done',
    within: 1500,
    seenBy: 14,
    port: (port) => ({
      ...port,
      insertIfAbsent: async (table, row, options) => {
        try {
          return await port.insertIfAbsent(table, row, options)
        } catch (error) {
          if (table !== CONFIG_LOG || !(error instanceof CassandraFailure) || error.isSettled) throw error
          const { epoch, segment, revision } = row as Record<string, number>
          const selection = {
            partition: { epoch, segment },
            equals: { revision },
            limit: 1,
            consistency: options.serial,
          }
          const [there] = await port.select(table, selection as Selection)
          if (!there) throw new CassandraFailure('timeout', 'no row', true)
          return there.txid === row.txid ? { isApplied: true } : { isApplied: false, row: there }
        }
      },
    }),
  },
  {
    name: 'a decision that too few replicas can be told of is taken for not done',
    within: 3000,
    seenBy: 124,
    port: (port) => ({
      ...port,
      insertIfAbsent: (table, row, options) =>
        port.insertIfAbsent(table, row, options).catch((error: unknown) => {
          throw error instanceof CassandraFailure && error.reason === 'unavailable'
            ? new CassandraFailure(error.reason, error.message, true)
            : error
        }),
    }),
  },
  {
    name: 'local serial in both data centers',
    within: 100,
    seenBy: 1,
    port: (port) => ({
      ...port,
      select: (table, selection) =>
        port.select(
          table,
          selection.consistency === 'SERIAL' ? { ...selection, consistency: 'LOCAL_SERIAL' } : selection,
        ),
      insertIfAbsent: (table, row, options) => port.insertIfAbsent(table, row, { ...options, serial: 'LOCAL_SERIAL' }),
    }),
  },
  {
    name: 'the watermark before the acknowledgements of its rows',
    within: 300,
    seenBy: 1,
    port: (port) => ({
      ...port,
      insertAll: async (table, rows, options) => {
        void port.insertAll(table, rows, options).catch(() => {})
      },
    }),
  },
  {
    name: 'one replica is enough for the rows of the projection',
    within: 1000,
    seenBy: 1,
    port: (port) => ({
      ...port,
      insertAll: (table, rows, options) => port.insertAll(table, rows, { ...options, consistency: 'LOCAL_ONE' }),
    }),
  },
  {
    name: 'the watermarks of all data centers after the acknowledgements of one',
    within: 300,
    seenBy: 1,
    port: (port) => ({
      ...port,
      insertAll: (table, rows, options) =>
        port.insertAll(table, rows, {
          ...options,
          consistency: options.consistency === 'EACH_QUORUM' ? 'LOCAL_QUORUM' : options.consistency,
        }),
    }),
  },
  {
    name: 'one watermark for all data centers',
    within: 300,
    seenBy: 7,
    port: (port, { cluster }) => ({
      ...port,
      insert: async (table, row, options) => {
        await port.insert(table, row, options)
        if (table !== LOG_STATE) return
        for (const dataCenter of cluster.replication.dataCenters)
          await port.insert(table, { ...row, name: `projected ${dataCenter}` }, options)
      },
    }),
  },
  {
    name: 'names are kept that a row no longer has, and those that it has are not',
    within: 600,
    seenBy: 9,
    port: (port) => ({
      ...port,
      insertAll: (table, rows, options) =>
        port.insertAll(
          table,
          table === ENTITY_KEYS ? rows.map((row) => ({ ...row, deleted: row.deleted !== true })) : rows,
          options,
        ),
    }),
  },
  {
    name: 'a copy that lacks rows answers that they are not there',
    within: 600,
    seenBy: 11,
    copy: (copy) =>
      new Proxy(copy, {
        get(target, name) {
          if (name === 'uniqueEntry') return () => undefined
          const value = target[name as keyof LocalCopy] as unknown
          return typeof value === 'function' ? (value as () => unknown).bind(target) : value
        },
      }),
  },
  {
    name: 'rows that were deleted come back with the filling',
    within: 1000,
    seenBy: 6,
    copy: (copy) => forgetful(copy),
  },
  {
    name: 'two writes of a row in one revision',
    within: 100,
    seenBy: 1,
    port: (port) => ({
      ...port,
      insertAll: async (table, rows, options) => {
        if (table === ENTITIES) {
          const gone = rows.map((row) => ({ ...row, document: null, deleted: true }))
          await port.insertAll(table, gone, options)
        }
        await port.insertAll(table, rows, options)
      },
    }),
  },
  {
    name: 'deletions by tombstones, which are purged while a replica lacks them',
    within: 1500,
    seenBy: 110,
    port: (port, { cluster, client }) => ({
      ...port,
      insertAll: async (table, rows, options) => {
        const gone = rows.filter((row) => row.deleted === true)
        if (table !== ENTITIES || gone.length === 0) return port.insertAll(table, rows, options)
        await cluster.delete(client, table, gone, options)
        const rest = rows.filter((row) => row.deleted !== true)
        if (rest.length > 0) await port.insertAll(table, rest, options)
      },
    }),
  },
  {
    name: 'an entry is applied over a hole',
    within: 3000,
    seenBy: 4,
    copy: (copy) => ({ ...copy, adopt: (entries) => adoptAnyway(copy, entries) }),
    port: (port) => ({
      ...port,
      // The entry before is passed off as empty, so that a later one seems to follow.
      select: async (table, selection) => {
        const rows = await port.select(table, selection)
        const after = selection.after?.value
        if (table !== CONFIG_LOG || typeof after !== 'number' || rows.length === 0) return rows
        return closed(rows, after)
      },
    }),
  },
  {
    name: 'no serial read of the end of the log',
    within: 600,
    seenBy: 220,
    store: (store) => overridden(store, { settle: () => store.poll() }),
  },
  {
    name: 'an append does not look whether its epoch still counts',
    within: 1500,
    seenBy: 5,
    port: (port) => {
      // What this node saw of epochs it goes on believing, until it looks at the end of the log.
      let known: readonly TableRow[] | null = null
      return {
        ...port,
        select: async (table, selection) => {
          if (table !== EPOCHS) return port.select(table, selection)
          if (selection.consistency !== 'SERIAL' && known !== null) return known
          return (known = await port.select(table, selection))
        },
      }
    },
  },
  {
    name: 'a beginning of an epoch is answered before every data center was told',
    within: 6000,
    seenBy: 3050,
    port: (port) => ({
      ...port,
      insertIfAbsent: (table, row, options) =>
        port.insertIfAbsent(table, row, table === EPOCHS ? { ...options, commit: 'LOCAL_QUORUM' } : options),
    }),
  },
  {
    name: 'a beginning of an epoch without an answer is taken for not begun',
    within: 1500,
    seenBy: 257,
    port: (port) => ({
      ...port,
      insertIfAbsent: (table, row, options) =>
        port.insertIfAbsent(table, row, options).catch((error: unknown) => {
          throw table === EPOCHS && error instanceof CassandraFailure
            ? new CassandraFailure(error.reason, error.message, true)
            : error
        }),
    }),
  },
  {
    name: 'the epoch is no part of the keys of the projection',
    within: 1500,
    seenBy: 2,
    port: (port) => ({
      ...port,
      select: (table, selection) =>
        port.select(table, { ...selection, partition: withoutEpoch(table, selection.partition) }),
      insertAll: (table, rows, options) =>
        port.insertAll(
          table,
          rows.map((row) => withoutEpoch(table, row)),
          options,
        ),
    }),
  },
  {
    name: 'rows of an epoch are written into the keys of the one before as well',
    within: 300,
    seenBy: 2,
    port: (port) => ({
      ...port,
      insertAll: async (table, rows, options) => {
        await port.insertAll(table, rows, options)
        const before = rows.map((row) => ({ ...row, epoch: (row.epoch as number) - 1 }))
        if (table === ENTITIES && before.every(({ epoch }) => epoch > 0)) await port.insertAll(table, before, options)
      },
    }),
  },
  {
    name: 'a revision is reported before it is on the disk',
    within: 300,
    seenBy: 7,
    losesLastWrite: true,
  },
]

/** Nothing is lost by it: the order and the chain are checked at each step. The checker must not cry wolf. */
export const HARMLESS: Flaw = {
  name: 'the log is followed at LOCAL_ONE',
  within: Infinity,
  seenBy: Infinity,
  port: (port) => ({
    ...port,
    select: (table, selection) =>
      port.select(
        table,
        table === CONFIG_LOG && selection.after && selection.consistency === 'LOCAL_QUORUM'
          ? { ...selection, consistency: 'LOCAL_ONE' }
          : selection,
      ),
  }),
}

/** A filling that takes over each row as if it were of the head, whatever the entries have deleted since. */
function forgetful(copy: LocalCopy): LocalCopy {
  return new Proxy(copy, {
    get(target, name) {
      const value = target[name as keyof LocalCopy] as unknown
      if (name === 'filling' && target.filling) {
        const { filling } = target
        return {
          ...filling,
          fill: async (...[kind, rows, whole]: Parameters<typeof filling.fill>) => {
            const { revision } = await target.head()
            await filling.fill(
              kind,
              rows.map((row) => ({ ...row, revision: revision + 1 })),
              whole,
            )
          },
        }
      }
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value
    },
  })
}

/** Calls what is not overridden on the store itself, whose class has private parts. */
function overridden(store: CassandraStore, overrides: Partial<CassandraStore>): CassandraStore {
  return new Proxy(store, {
    get(target, name) {
      const own = overrides[name as keyof CassandraStore]
      if (own !== undefined) return own
      const value = target[name as keyof CassandraStore] as unknown
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value
    },
  })
}

/** Rows renumbered so that there is no hole between them. */
function closed(rows: readonly TableRow[], after: number): readonly TableRow[] {
  return rows.map((row, index) => {
    const revision = after + 1 + index
    if (row.revision === revision) return row
    const entry = JSON.stringify({ ...(JSON.parse(row.entry as string) as object), revision })
    return { ...row, revision, entry }
  })
}

/** What does not verify is applied by what it says, as an entry of the copy's own. */
async function adoptAnyway(copy: LocalCopy, entries: Parameters<LocalCopy['adopt']>[0]): Promise<void> {
  try {
    await copy.adopt(entries)
  } catch {
    for (const { txid, origin, atMs, effects } of entries) {
      const operations = effects.map((effect): Operation => {
        const { kind, workspace, id, document } = copy.open(effect)
        return document ? { op: 'put', kind, workspace, document } : { op: 'delete', kind, workspace, id }
      })
      const prepared = await copy.prepare({ txid, origin, atMs, operations }, (await copy.head()).revision)
      if (prepared.outcome === 'prepared') await copy.adopt([prepared.entry])
    }
  }
}

function withoutEpoch(table: Table, row: TableRow): TableRow {
  return table === ENTITIES ? { ...row, epoch: 1 } : row
}
