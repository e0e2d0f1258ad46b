import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogEntry } from '../contract.ts'
import type { StoredRow } from '../digest.ts'
import { FIRST_EPOCH, type Epoch } from './cluster-log.ts'
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

for (const moment of ['watermark', 'changes', 'rows'] as const) {
  test(`what the copy holds after another epoch began is not written into the one before: it began with the ${moment}`, async () => {
    const [before, after] = [2, 3].map((epoch): Epoch => ({
      ...FIRST_EPOCH,
      epoch,
      base: { revision: 4, hash: 'a', digests: {} },
    })) as [Epoch, Epoch]
    let current = before
    const written: number[] = []
    const began = <T>(at: string, answer: T): T => {
      if (at === moment) current = after
      return answer
    }
    const projector = new Projector({
      projection: {
        watermark: async () =>
          began('watermark', moment === 'rows' ? undefined : { revision: before.base.revision, hash: 'a' }),
        projectState: async (epoch: number, rows: AsyncIterable<unknown>) => {
          for await (const _row of rows) written.push(epoch)
        },
        markBase: async (epoch: number) => void written.push(epoch),
        project: async (epoch: number) => void written.push(epoch),
      } as unknown as ProjectionTables,
      epoch: () => current,
      changes: async (revision) => began('changes', [{ revision: revision + 1 } as LogEntry]),
      head: async () => 5,
      rows: async () => began('rows', one()),
    })
    await projector.project('own')
    assert.deepEqual(written, [])
    // It is not taken for projected as far as the other was, which may be farther than this one is.
    assert.equal(projector.projected, moment === 'watermark' ? 0 : 4)
    assert.notEqual(projector.writtenFor, after.epoch)
  })
}

async function* one(): AsyncIterable<StoredRow> {
  yield { kind: 'groups', workspace: 'w', id: 'a', revision: 5, sealed: '{}' }
}
