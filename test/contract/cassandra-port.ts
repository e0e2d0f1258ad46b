/** What every `CassandraPort` has to do: the real cluster, and what is simulated in its place. A port passes by running `cassandraPortSuite`. */
import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import { CassandraFailure, type CassandraPort, type ConditionalOptions, type TableRow } from '#store/cassandra/port.ts'
import { CONFIG_LOG, COUNTERS, ENTITIES, EPOCHS, NODES, RUNTIME } from '#store/cassandra/tables.ts'

export interface OpenedPort {
  readonly port: CassandraPort
  /** Lets so much of the cluster's time go by. */
  readonly elapse: (ms: number) => Promise<unknown>
  readonly close: () => Promise<unknown>
}

const CONDITIONAL: ConditionalOptions = { serial: 'SERIAL', commit: 'QUORUM' }
const PLAIN = { consistency: 'LOCAL_QUORUM' } as const

/** Keys are new in each test, so the tables may have other rows. `open` answers null after it has marked the test as skipped. */
export function cassandraPortSuite(name: string, open: (test: TestContext) => Promise<OpenedPort | null>): void {
  const withPort =
    (work: (port: CassandraPort, opened: OpenedPort) => Promise<void>) => async (context: TestContext) => {
      const opened = await open(context)
      if (opened === null) return
      try {
        await work(opened.port, opened)
      } finally {
        await opened.close()
      }
    }

  suite(`${name} port`, () => {
    test(
      'inserts where nothing is, once, and tells the whole row that is there instead',
      withPort(async (port) => {
        const { epoch, row } = logRow()
        assert.deepEqual(await port.insertIfAbsent(CONFIG_LOG, row, CONDITIONAL), { isApplied: true })
        const again = await port.insertIfAbsent(CONFIG_LOG, { ...row, txid: 'another', effects: '[]' }, CONDITIONAL)
        assert.deepEqual(again, { isApplied: false, row })
        const selection = { partition: { epoch, segment: 0 }, limit: 10, consistency: 'SERIAL' } as const
        assert.deepEqual(await port.select(CONFIG_LOG, selection), [row])
      }),
    )

    test(
      'lets one of many inserts at once win, which all the others are told',
      withPort(async (port) => {
        const { row } = logRow()
        const results = await Promise.all(
          Array.from({ length: 10 }, (_, index) =>
            settled(() => port.insertIfAbsent(CONFIG_LOG, { ...row, txid: `t${index}` }, CONDITIONAL)),
          ),
        )
        const partition = { epoch: row.epoch, segment: 0 }
        const [there] = await port.select(CONFIG_LOG, { partition, limit: 1, consistency: 'SERIAL' })
        // The winner itself, too, finds its row there when it had to repeat.
        for (const [index, result] of results.entries())
          assert.equal(result.isApplied ? `t${index}` : result.row?.['txid'], there?.['txid'])
      }),
    )

    test(
      'keeps every type of value, and null',
      withPort(async (port) => {
        const epoch = newNumber()
        const key = { epoch, kind: 'routes', bucket: 255, workspace: 'ünïcode', id: '' }
        for (const [id, values] of Object.entries({
          a: { document: '{"a":1}', revision: Number.MAX_SAFE_INTEGER, deleted: false },
          b: { document: '', revision: 0, deleted: true },
          c: { document: null, revision: 1, deleted: true },
        })) {
          await port.insert(ENTITIES, { ...key, id, ...values }, PLAIN)
          const { workspace } = key
          const found = await port.select(ENTITIES, {
            partition: { epoch, kind: 'routes', bucket: 255 },
            equals: { workspace, id },
            limit: 1,
            consistency: 'LOCAL_QUORUM',
          })
          assert.deepEqual(found, [{ ...key, id, ...values }])
        }
      }),
    )

    test(
      'gives rows in the order of their clustering, from a place on, as many as asked, over any number of pages',
      withPort(async (port) => {
        const key = newName()
        const ids = Array.from({ length: 2300 }, (_, index) => String(index).padStart(5, '0'))
        const rows = ids.map((incarnation, count) => ({ key, window_start: 0, incarnation, count }))
        for (let at = 0; at < rows.length; at += 100)
          await port.insertAll(COUNTERS, rows.slice(at, at + 100).toReversed(), PLAIN)
        const select = async (limit: number, after?: string) => {
          const found = await port.select(COUNTERS, {
            partition: { key, window_start: 0 },
            ...(after !== undefined && { after: { column: 'incarnation', value: after } }),
            limit,
            consistency: 'LOCAL_QUORUM',
          })
          return found.map(({ incarnation }) => incarnation)
        }
        assert.deepEqual(await select(10_000), ids)
        assert.deepEqual(await select(1000), ids.slice(0, 1000))
        assert.deepEqual(await select(1500, '00099'), ids.slice(100, 1600))
        assert.deepEqual(await select(10, '02299'), [])
        assert.deepEqual(await select(1, 'none'), [])
      }),
    )

    test(
      'selects by the first clustering columns, and after a value of the next',
      withPort(async (port) => {
        const epoch = newNumber()
        const partition = { epoch, kind: 'k', bucket: 0 }
        const rows = ['a', 'b'].flatMap((workspace) =>
          ['1', '2', '3'].map((id) => ({ ...partition, workspace, id, document: '{}', revision: 1, deleted: false })),
        )
        await port.insertAll(ENTITIES, rows, { ...PLAIN, timestamp: 1 })
        const base = { partition, limit: 10, consistency: 'LOCAL_ONE' } as const
        assert.deepEqual(await port.select(ENTITIES, base), rows)
        assert.deepEqual(await port.select(ENTITIES, { ...base, equals: { workspace: 'b' } }), rows.slice(3))
        const after = { column: 'id', value: '1' }
        assert.deepEqual(await port.select(ENTITIES, { ...base, equals: { workspace: 'b' }, after }), rows.slice(4))
        const afterWorkspace = { column: 'workspace', value: 'a' }
        assert.deepEqual(await port.select(ENTITIES, { ...base, after: afterWorkspace }), rows.slice(3))
      }),
    )

    test(
      'lets the greater timestamp win, whatever came last, in every column also where it is null',
      withPort(async (port) => {
        const { row, read } = entity(port)
        await port.insert(ENTITIES, { ...row, document: null, revision: 7, deleted: true }, { ...PLAIN, timestamp: 7 })
        await port.insert(ENTITIES, { ...row, document: 'older', revision: 5 }, { ...PLAIN, timestamp: 5 })
        assert.deepEqual(await read(), { ...row, document: null, revision: 7, deleted: true })
        await port.insert(ENTITIES, { ...row, document: 'newer', revision: 9 }, { ...PLAIN, timestamp: 9 })
        assert.deepEqual(await read(), { ...row, document: 'newer', revision: 9 })
      }),
    )

    test(
      'at equal timestamps the greater value of each column wins, and null over all',
      withPort(async (port) => {
        const { row, read } = entity(port)
        const at = { ...PLAIN, timestamp: 3 }
        await port.insert(ENTITIES, { ...row, document: 'b', revision: 1 }, at)
        await port.insert(ENTITIES, { ...row, document: 'a', revision: 2 }, at)
        assert.deepEqual(await read(), { ...row, document: 'b', revision: 2 })
        await port.insert(ENTITIES, { ...row, document: null, revision: 1 }, at)
        await port.insert(ENTITIES, { ...row, document: 'c', revision: 1 }, at)
        assert.deepEqual(await read(), { ...row, document: null, revision: 2 })
      }),
    )

    test(
      'without a timestamp the last write wins',
      withPort(async (port) => {
        const row = { data_center: newName(), node_id: 'n', state: 'a', heartbeat_ms: 2 }
        await port.insert(NODES, row, PLAIN)
        await port.insert(NODES, { ...row, state: null, heartbeat_ms: 1 }, PLAIN)
        const selection = { partition: { data_center: row.data_center }, limit: 2, consistency: 'QUORUM' } as const
        assert.deepEqual(await port.select(NODES, selection), [{ ...row, state: null, heartbeat_ms: 1 }])
      }),
    )

    test(
      'replaces only what is as expected, and tells what is there instead',
      withPort(async (port) => {
        const row = { space: 's', key: newName(), value: 'one', expires_at_ms: 1 }
        const next = { ...row, value: 'two', expires_at_ms: null }
        const nothing = await port.replaceIf(RUNTIME, next, { value: 'one' }, CONDITIONAL)
        assert.deepEqual(nothing, { isApplied: false, row: null })
        await port.insertIfAbsent(RUNTIME, row, CONDITIONAL)
        const other = await port.replaceIf(RUNTIME, next, { value: 'one', expires_at_ms: 2 }, CONDITIONAL)
        assert.deepEqual(other, { isApplied: false, row })
        const isTrue = await port.replaceIf(RUNTIME, next, { value: 'one', expires_at_ms: 1 }, CONDITIONAL)
        assert.deepEqual(isTrue, { isApplied: true })
        const again = await port.replaceIf(RUNTIME, row, { value: 'one' }, CONDITIONAL)
        assert.deepEqual(again, { isApplied: false, row: next })
        assert.deepEqual(await port.replaceIf(RUNTIME, row, { expires_at_ms: null }, CONDITIONAL), { isApplied: true })
      }),
    )

    test(
      'loses no update of many at once that each expect what they read',
      withPort(async (port) => {
        const partition = { cluster: newName() }
        const blank = { serial_domain: null, writing_data_center: null, base_hash: null, base_digests: null }
        const row = { ...partition, epoch: 1, ...blank, base_revision: 0, made_at_ms: 0, made_by: 'x' }
        await port.insertIfAbsent(EPOCHS, row, CONDITIONAL)
        const select = () => port.select(EPOCHS, { partition, equals: { epoch: 1 }, limit: 1, consistency: 'SERIAL' })
        const read = async () => {
          // Between writers a read at SERIAL may lose every race; it has done nothing, and is asked again.
          for (;;) {
            const rows = await select().catch((error: unknown) => {
              if ((error as { reason?: unknown }).reason === 'timeout') return null
              throw error
            })
            if (rows !== null) return rows[0]!
          }
        }
        const add = async (by: string) => {
          for (;;) {
            const now = await read()
            // Told apart from all others, so that an open outcome is seen.
            const next = { ...row, base_revision: Number(now['base_revision']) + 1, made_by: by }
            const expected = { base_revision: now['base_revision']!, made_by: now['made_by']! }
            const result = await settled(
              () => port.replaceIf(EPOCHS, next, expected, CONDITIONAL),
              async () => {
                const after = await read()
                return after['made_by'] === by
              },
            )
            if (result.isApplied) return
          }
        }
        await Promise.all(['a', 'b', 'c', 'd'].map(add))
        assert.equal((await read())['base_revision'], 4)
      }),
    )

    test(
      'deletes what is there, once, and then it can be inserted again',
      withPort(async (port) => {
        const row = { space: 's', key: newName(), value: 'v', expires_at_ms: 1 }
        const key = { space: row.space, key: row.key }
        assert.equal(await port.deleteIfPresent(RUNTIME, key, CONDITIONAL), false)
        await port.insertIfAbsent(RUNTIME, row, CONDITIONAL)
        assert.equal(await port.deleteIfPresent(RUNTIME, key, CONDITIONAL), true)
        assert.equal(await port.deleteIfPresent(RUNTIME, key, CONDITIONAL), false)
        assert.deepEqual(await port.select(RUNTIME, { partition: key, limit: 1, consistency: 'SERIAL' }), [])
        assert.deepEqual(await port.insertIfAbsent(RUNTIME, row, CONDITIONAL), { isApplied: true })
      }),
    )

    test(
      'forgets rows with a time to live when it is over, however they were written',
      withPort(async (port, { elapse }) => {
        const name = newName()
        const node = (id: string) => ({ data_center: name, node_id: id, state: 's', heartbeat_ms: 1 })
        const brief = { ...CONDITIONAL, ttlSeconds: 2 }
        await port.insert(NODES, node('stays'), PLAIN)
        await port.insert(NODES, node('ends'), { ...PLAIN, ttlSeconds: 2 })
        await port.insertAll(NODES, [node('ends too')], { ...PLAIN, ttlSeconds: 2 })
        const value = (key: string) => ({ space: name, key, value: 'v', expires_at_ms: 1 })
        await port.insertIfAbsent(RUNTIME, value('inserted'), brief)
        await port.insertIfAbsent(RUNTIME, value('replaced'), brief)
        await port.replaceIf(RUNTIME, value('replaced'), { value: 'v' }, { ...CONDITIONAL, ttlSeconds: 600 })
        await elapse(3500)
        const nodes = await port.select(NODES, { partition: { data_center: name }, limit: 9, consistency: 'QUORUM' })
        assert.deepEqual(nodes, [node('stays')])
        for (const [key, expected] of [
          ['inserted', []],
          ['replaced', [value('replaced')]],
        ] as const) {
          const found = await port.select(RUNTIME, { partition: { space: name, key }, limit: 1, consistency: 'SERIAL' })
          assert.deepEqual(found, expected, key)
        }
        assert.deepEqual(await port.insertIfAbsent(RUNTIME, value('inserted'), CONDITIONAL), { isApplied: true })
      }),
    )

    test(
      'refuses a row that lacks a column, before anything is sent',
      withPort(async (port) => {
        const { row } = logRow()
        const { effects: _, ...lacking } = row
        const isInvalid = (error: unknown) =>
          error instanceof CassandraFailure && error.reason === 'invalid' && error.isSettled
        await assert.rejects(port.insertIfAbsent(CONFIG_LOG, lacking, CONDITIONAL), isInvalid)
        const partition = { epoch: row.epoch, segment: 0 }
        assert.deepEqual(await port.select(CONFIG_LOG, { partition, limit: 1, consistency: 'SERIAL' }), [])
      }),
    )
  })
}

function logRow() {
  const epoch = newNumber()
  const row = { epoch, segment: 0, revision: 1, txid: 't', entry: '{}', effects: null, chunks: 'abc' }
  return { epoch, row }
}

function entity(port: CassandraPort) {
  const partition = { epoch: newNumber(), kind: 'k', bucket: 1 }
  const row = { ...partition, workspace: 'w', id: 'i', document: '{}', revision: 1, deleted: false }
  const read = async () => {
    const [found] = await port.select(ENTITIES, { partition, limit: 1, consistency: 'EACH_QUORUM' })
    return found
  }
  return { row, read }
}

/** Repeats a transaction whose outcome is open, as every user of the port has to. */
async function settled(
  attempt: () => ReturnType<CassandraPort['insertIfAbsent']>,
  wasDone: () => Promise<boolean> = async () => false,
): Promise<{ readonly isApplied: boolean; readonly row?: TableRow | null }> {
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof CassandraFailure) || error.isSettled) throw error
      if (await wasDone()) return { isApplied: true }
    }
  }
}

function newNumber(): number {
  return Math.floor(Math.random() * 2 ** 52)
}

function newName(): string {
  return `n${newNumber()}`
}
