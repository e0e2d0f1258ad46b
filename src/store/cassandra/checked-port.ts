/**
 * A port that does nothing until the keyspace was found to be one that this version may work with: a node that serves from its
 * copy starts before anybody can be asked. Until then, and for good when a newer version has made the keyspace its own, each
 * statement fails as refused, with the reason; nothing is sent.
 */
import { CassandraFailure, type CassandraPort } from './port.ts'

export interface CheckedPortOptions {
  readonly port: CassandraPort
  /** Rejects with the reason why this version may not work with it, or with a `CassandraFailure` while that can't be asked. */
  readonly check: () => Promise<void>
  /** Milliseconds that only go forward. */
  readonly monotonicMs: () => number
}

/** Between two checks of a keyspace that was refused: it may be brought forward meanwhile. */
const AGAIN_MS = 5_000

export function checkedPort({ port, check, monotonicMs }: CheckedPortOptions): CassandraPort {
  let isChecked = false
  let checking: Promise<void> | null = null
  let refused: { readonly failure: CassandraFailure; readonly atMs: number } | null = null
  const look = async (): Promise<void> => {
    try {
      await check()
      isChecked = true
    } catch (error) {
      if (error instanceof CassandraFailure) throw error
      const failure = new CassandraFailure('refused', (error as Error).message, true, { cause: error })
      refused = { failure, atMs: monotonicMs() }
      throw failure
    }
  }
  const after = <T>(statement: () => Promise<T>): Promise<T> => {
    if (isChecked) return statement()
    if (refused !== null && monotonicMs() - refused.atMs < AGAIN_MS) return Promise.reject(refused.failure)
    checking ??= look().finally(() => (checking = null))
    return checking.then(statement)
  }
  return {
    select: (...given) => after(() => port.select(...given)),
    insert: (...given) => after(() => port.insert(...given)),
    insertAll: (...given) => after(() => port.insertAll(...given)),
    insertIfAbsent: (...given) => after(() => port.insertIfAbsent(...given)),
    replaceIf: (...given) => after(() => port.replaceIf(...given)),
    deleteIfPresent: (...given) => after(() => port.deleteIfPresent(...given)),
  }
}
