import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change, Row } from '#model/document.ts'
import { coreEntities } from '#model/entities/index.ts'
import type { ConfigStore, LogEntry } from '#store/contract.ts'
import { Publisher } from './publisher.ts'
import { PART_SIZE, PartsAhead, type SnapshotPart, type SnapshotUpdate, type ToldUpdate } from './update.ts'

const WORKERS = 2

function put(kind: string, id: string, more: object = {}): Change {
  return { kind, workspace: 'w', id, document: { id, ...more } }
}

const gone = (kind: string, id: string): Change => ({ kind, workspace: 'w', id, document: null })

/** A publisher over a store that holds `rows`; what each worker was told, in order. */
function bed(
  rows: Change[] = [],
  take: (rows: readonly Row[], isWhole: boolean) => void = () => undefined,
  told: ToldUpdate[][] = [[], []],
) {
  const parts: SnapshotPart[][] = [[], []]
  const head = { revision: 5, hash: 'h5' }
  const loaded: (readonly string[])[] = []
  const store = {
    load: async (kinds: readonly string[]) => {
      loaded.push(kinds)
      return {
        head: { ...head },
        rows: (async function* () {
          for (const { kind, workspace, document } of rows) yield { kind, workspace, document, revision: 1 }
        })(),
      }
    },
    // Sealing is the store's; here a sealed document says so.
    open: (change: Change): Change =>
      change.document === null ? change : { ...change, document: { ...change.document, sealed: false } },
  } as unknown as ConfigStore
  const published: number[] = []
  const publisher = new Publisher({
    store,
    definitions: new Map(coreEntities.map((definition) => [definition.kind, definition])),
    workers: WORKERS,
    tell: (worker, update) => told[worker]!.push(update),
    tellPart: (worker, part) => parts[worker]!.push(part),
    own: { kinds: new Set(['parameters']), take },
    onPublished: ({ revision }) => published.push(revision),
  })
  const entry = (revision: number, effects: Change[]) =>
    ({ revision, hash: `h${revision}`, effects }) as unknown as LogEntry
  return { publisher, told, parts, loaded, head, rows, published, entry }
}

const ids = (update: SnapshotUpdate | undefined) => update?.changes.map(({ id }) => id)

test('a worker that begins gets the whole state, and after it each revision once', async () => {
  const { publisher, told, entry } = bed([put('routes', 'r1'), put('services', 's1')])
  await publisher.load()
  publisher.begin(0)
  assert.partialDeepStrictEqual(told[0]![0], { revision: 5, hash: 'h5', isWhole: true })
  assert.deepEqual(ids(told[0]![0]), ['r1', 's1'])
  await publisher.publish([entry(6, [put('routes', 'r2')]), entry(7, [gone('routes', 'r1')])])
  assert.deepEqual(
    told[0]!.slice(1).map((update) => [update.revision, update.isWhole, ids(update)]),
    [
      [6, false, ['r2']],
      [7, false, ['r1']],
    ],
  )
  assert.deepEqual(told[1], [], 'one that did not begin is told nothing')
})

test('a worker that begins later gets the state of now', async () => {
  const { publisher, told, entry } = bed([put('routes', 'r1'), put('routes', 'r2', { name: 'old' })])
  await publisher.load()
  await publisher.publish([entry(6, [gone('routes', 'r1'), put('routes', 'r2', { name: 'new' }), put('routes', 'r3')])])
  publisher.begin(1)
  assert.partialDeepStrictEqual(told[1]![0], { revision: 6, hash: 'h6', isWhole: true })
  assert.deepEqual(ids(told[1]![0])?.toSorted(), ['r2', 'r3'])
  assert.equal(told[1]![0]!.changes.find(({ id }) => id === 'r2')!.document!['name'], 'new')
})

test('kinds that are looked up are neither loaded nor held, but told so that caches forget them', async () => {
  const { publisher, told, loaded, entry } = bed()
  await publisher.load()
  assert.ok(!loaded[0]!.includes('consumers'))
  assert.ok(loaded[0]!.includes('routes'))
  publisher.begin(0)
  await publisher.publish([entry(6, [put('consumers', 'c1'), put('routes', 'r1')])])
  const update = told[0]![1]!
  assert.deepEqual(ids(update), ['r1'])
  assert.deepEqual(
    update.lookedUp.map(({ id }) => id),
    ['c1'],
  )
  assert.equal(update.lookedUp[0]!.document!['sealed'], false, 'documents are opened for workers')
  publisher.begin(1)
  assert.deepEqual(ids(told[1]![0]), ['r1'])
})

test('the revision that is served is that of the slowest worker, and unknown while one has none', async () => {
  const { publisher } = bed()
  await publisher.load()
  publisher.begin(0)
  publisher.begin(1)
  assert.equal(publisher.revision, -1)
  publisher.served(0, 5)
  assert.equal(publisher.revision, -1)
  publisher.served(1, 7)
  assert.equal(publisher.revision, 5)
})

test('who waits for a revision is told when the last worker serves it', async () => {
  const { publisher } = bed()
  await publisher.load()
  publisher.begin(0)
  publisher.begin(1)
  let answer: boolean | null = null
  const waiting = publisher.waitFor(6, 10_000).then((isServed) => (answer = isServed))
  publisher.served(0, 6)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(answer, null)
  publisher.served(1, 6)
  assert.equal(await waiting, true)
  assert.equal(await publisher.waitFor(6, 0), true)
  assert.equal(await publisher.waitFor(7, 1), false)
})

test('a worker that was lost is waited for again from the beginning', async () => {
  const { publisher, told } = bed()
  await publisher.load()
  publisher.begin(0)
  publisher.begin(1)
  publisher.served(0, 5)
  publisher.served(1, 5)
  publisher.end(1)
  publisher.served(1, 5) // a message that was still under way
  assert.equal(await publisher.waitFor(5, 1), false)
  publisher.begin(1)
  assert.equal(told[1]!.length, 2)
  publisher.served(1, 5)
  assert.equal(await publisher.waitFor(5, 1), true)
})

test('a reload gives every worker that runs the whole state anew', async () => {
  const { publisher, told, head, rows, published } = bed([put('routes', 'r1')])
  await publisher.load()
  publisher.begin(0)
  rows.splice(0, 1, put('routes', 'r9'))
  head.revision = 9
  head.hash = 'h9'
  assert.deepEqual(await publisher.load(), { revision: 9, hash: 'h9' })
  assert.partialDeepStrictEqual(told[0]![1], { revision: 9, isWhole: true })
  assert.deepEqual(ids(told[0]![1]), ['r9'])
  assert.deepEqual(told[1], [])
  assert.deepEqual(published, [5, 9])
  assert.deepEqual(
    publisher.held('routes').map(({ id }) => id),
    ['r9'],
  )
})

/** More than fit into one part. */
const MANY = Array.from({ length: PART_SIZE + 3 }, (_, n) => put('routes', `r${n}`))

/** What a worker makes of what it was told. */
function taken(parts: readonly SnapshotPart[], update: ToldUpdate | undefined): SnapshotUpdate {
  const ahead = new PartsAhead()
  for (const part of parts) ahead.take(part)
  return ahead.complete(update!)
}

test('a worker that is there is told a large state while it is read, and makes one update of it', async () => {
  const { publisher, told, parts } = bed(MANY)
  publisher.begin(0)
  assert.deepEqual([told[0], parts[0]], [[], []], 'before the first load there is nothing to tell')
  await publisher.load()
  publisher.begin(1)
  for (const worker of [0, 1]) {
    assert.equal(told[worker]!.length, 1)
    assert.partialDeepStrictEqual(told[worker]![0], { revision: 5, isWhole: true, parts: 1 })
    assert.deepEqual(
      ids(taken(parts[worker]!, told[worker]![0])),
      MANY.map(({ id }) => id),
    )
  }
})

test('a worker that begins while a state is read gets all of it at the end', async () => {
  const { publisher, told, parts } = bed(MANY)
  publisher.begin(0)
  publisher.begin(1)
  const loading = publisher.load()
  while (parts[0]!.length === 0) await Promise.resolve()
  publisher.end(1)
  publisher.begin(1)
  parts[1] = []
  await loading
  assert.deepEqual(
    ids(taken(parts[1], told[1]![0])),
    MANY.map(({ id }) => id),
  )
  assert.equal(told[1]!.length, 1)
})

test('parts of a load that failed do not come into the next one', async () => {
  const { publisher, told, parts, rows } = bed([...MANY])
  publisher.begin(0)
  rows.push({ kind: 'routes', workspace: 'w', id: 'broken', document: null })
  await assert.rejects(publisher.load())
  assert.equal(parts[0]!.length, 1)
  rows.splice(0, rows.length, put('routes', 'only'))
  await publisher.load()
  assert.deepEqual(ids(taken(parts[0]!, told[0]![0])), ['only'])
  assert.throws(() => taken([], { ...told[0]![0]!, parts: 1 }), /1 parts were told ahead, 0 are here/)
})

test('rows of the main thread come to it alone, with their revisions, before workers are told', async () => {
  const taken: { ids: string[]; revisions: number[]; isWhole: boolean; toldBefore: number }[] = []
  const told: ToldUpdate[][] = [[], []]
  const { publisher, entry } = bed(
    [put('services', 's'), put('parameters', 'p')],
    (rows, isWhole) =>
      taken.push({
        ids: rows.map(({ document }) => document.id),
        revisions: rows.map(({ revision }) => revision),
        isWhole,
        toldBefore: told[0]!.length,
      }),
    told,
  )
  publisher.begin(0)
  await publisher.load()
  await publisher.publish([entry(6, [put('parameters', 'q'), put('routes', 'r'), gone('parameters', 'p')])])
  assert.deepEqual(taken, [
    { ids: ['p'], revisions: [1], isWhole: true, toldBefore: 0 },
    { ids: ['q'], revisions: [6], isWhole: false, toldBefore: 1 },
  ])
  assert.deepEqual(ids(told[0]![0]), ['s'])
  assert.deepEqual(ids(told[0]![1]), ['r'])
})
