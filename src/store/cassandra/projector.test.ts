import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogEntry } from '../contract.ts'
import { FIRST_EPOCH } from './cluster-log.ts'
import type { ProjectionTables } from './projection-tables.ts'
import { Projector } from './projector.ts'

test('a pass ends where the log stood when it began, however much is appended meanwhile', async () => {
  let head = 250
  const projectedTo: number[] = []
  const projector = new Projector({
    projection: {
      watermark: async () => undefined,
      project: async (_epoch: number, entries: readonly LogEntry[]) => {
        projectedTo.push(entries.at(-1)!.revision)
        head += 200
      },
    } as unknown as ProjectionTables,
    epoch: () => FIRST_EPOCH,
    changes: async (after, limit) =>
      Array.from(
        { length: Math.min(limit, head - after) },
        (_, index) => ({ revision: after + index + 1 }) as LogEntry,
      ),
    head: async () => head,
    rows: () => Promise.reject(new Error('the log is whole')),
  })
  await projector.project('own')
  assert.deepEqual(projectedTo, [100, 200, 300])
  assert.equal(projector.projected, 300)
})
