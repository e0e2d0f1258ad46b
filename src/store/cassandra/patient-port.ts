/**
 * A port whose reads are repeated when they time out, or meet too much work: for processes that would rather wait. A read at
 * SERIAL has to finish transactions that it finds under way, and times out at once where several meet.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { CassandraFailure, type CassandraPort } from './port.ts'

const ATTEMPTS = 6
const FIRST_PAUSE_MS = 50

export function patientPort(port: CassandraPort): CassandraPort {
  return {
    select: (table, selection) => patiently(() => port.select(table, selection)),
    insert: (...given) => port.insert(...given),
    insertAll: (...given) => port.insertAll(...given),
    insertIfAbsent: (...given) => port.insertIfAbsent(...given),
    replaceIf: (...given) => port.replaceIf(...given),
    deleteIfPresent: (...given) => port.deleteIfPresent(...given),
  }
}

async function patiently<T>(read: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read()
    } catch (error) {
      const isPassing =
        error instanceof CassandraFailure && (error.reason === 'timeout' || error.reason === 'overloaded')
      if (!isPassing || attempt === ATTEMPTS) throw error
    }
    await delay(Math.random() * FIRST_PAUSE_MS * 2 ** attempt)
  }
}
