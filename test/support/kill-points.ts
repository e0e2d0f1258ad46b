/**
 * Kills a gateway at a named step of a write, by SIGKILL from within: `node --import kill-points.ts src/main.ts start`. The step is
 * armed by a file below the prefix, so that the same process serves before it. Only what goes out of the process is watched
 * (statements to Cassandra, transactions of the copy's file, answers of the Admin API), never how the gateway does it.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isMainThread } from 'node:worker_threads'

/** In the order of an append. */
export const KILL_POINTS = [
  'before the insert is sent',
  'after the insert is sent',
  'after the answer of the insert',
  "in the copy's transaction, at its beginning",
  "in the copy's transaction, before its commit",
  'after the commit of the copy',
  'when the client was answered',
  'before a row of the projection is sent',
  'after the answer to a row of the projection',
  'before the watermark is sent',
] as const
export type KillPoint = (typeof KILL_POINTS)[number]

/** Below the prefix; says at which step the process is to end. */
export const KILL_POINT_FILE = 'kill-point'

type Execute = (query: string, ...rest: unknown[]) => Promise<unknown>
/** Whether the slot has the entry that was sent: by this insert, or by one before it whose answer was lost. */
function isDecided(result: unknown, sent: unknown): boolean {
  const [row] = (result as { readonly rows: readonly Readonly<Record<string, unknown>>[] }).rows
  return row?.['[applied]'] === true || (sent as readonly unknown[]).includes(row?.['txid'])
}

type Batch = (queries: readonly { readonly query: string }[], ...rest: unknown[]) => Promise<unknown>
interface DriverClient {
  execute: Execute
  batch: Batch
}

const prefix = process.env['MERIDIAN_PREFIX']
if (isMainThread && prefix !== undefined && process.argv.includes('start')) install(path.join(prefix, KILL_POINT_FILE))

function install(file: string): void {
  // One that was not reached before must not end the next process.
  rmSync(file, { force: true })
  /** The entry of the write stands in the log: what follows is its copy, its answer and its projection. */
  let isInserted = false
  const armed = (): KillPoint | null => (existsSync(file) ? (readFileSync(file, 'utf8') as KillPoint) : null)
  const reach = (point: KillPoint): void => {
    // The whole group, as when a machine goes.
    if (armed() === point) process.kill(-process.pid, 'SIGKILL')
  }
  watchDriver(
    reach,
    () => (isInserted = armed() !== null),
    // Before it is the projection of earlier writes, which a node that has just started catches up with.
    (point) => isInserted && reach(point),
  )
  const { exec } = DatabaseSync.prototype
  DatabaseSync.prototype.exec = function (this: DatabaseSync, sql: string) {
    if (isInserted && sql === 'COMMIT') reach("in the copy's transaction, before its commit")
    exec.call(this, sql)
    if (isInserted && sql.startsWith('BEGIN')) reach("in the copy's transaction, at its beginning")
    if (isInserted && sql === 'COMMIT') reach('after the commit of the copy')
  }
  const { end } = ServerResponse.prototype as unknown as { end: (...words: unknown[]) => ServerResponse }
  ServerResponse.prototype.end = function (this: ServerResponse, ...words: unknown[]) {
    // Every write that was told has this header; it is told when the kernel has it.
    if (this.hasHeader('x-config-transaction')) this.once('finish', () => reach('when the client was answered'))
    return end.apply(this, words)
  } as typeof ServerResponse.prototype.end
}

function watchDriver(
  reach: (point: KillPoint) => void,
  inserted: () => void,
  reachInserted: (point: KillPoint) => void,
): void {
  const { Client } = createRequire(import.meta.url)('cassandra-driver') as { Client: { prototype: DriverClient } }
  const { execute, batch } = Client.prototype
  Client.prototype.execute = async function (this: DriverClient, query, ...rest) {
    const isInsert = /^INSERT INTO \S*config_log .*IF NOT EXISTS/.test(query)
    if (isInsert) reach('before the insert is sent')
    beforeProjection(query)
    const answer = execute.call(this, query, ...rest)
    // The driver writes to its socket within the next turns of the loop; the answer takes a round trip at least.
    if (isInsert) setImmediate(() => setImmediate(() => reach('after the insert is sent')))
    const result = await answer
    // Refused, the slot was another entry's, and the write has yet to find its own.
    if (isInsert && isDecided(result, rest[0])) {
      reach('after the answer of the insert')
      inserted()
    }
    if (/^INSERT INTO \S*entities /.test(query)) reachInserted('after the answer to a row of the projection')
    return result
  }
  Client.prototype.batch = async function (this: DriverClient, queries, ...rest) {
    for (const { query } of queries) beforeProjection(query)
    const result = await batch.call(this, queries, ...rest)
    if (queries.some(({ query }) => /^INSERT INTO \S*entities /.test(query)))
      reachInserted('after the answer to a row of the projection')
    return result
  }
  const beforeProjection = (query: string): void => {
    if (/^INSERT INTO \S*entities /.test(query)) reachInserted('before a row of the projection is sent')
    if (/^INSERT INTO \S*log_state /.test(query)) reachInserted('before the watermark is sent')
  }
}
