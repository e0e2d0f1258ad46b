import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EXPIRES_AT, type Change, type Document } from '#model/document.ts'
import type { EntityReader } from '#pdk/pdk.ts'
import { coreEntities } from '#model/entities/index.ts'
import { pluginEntities } from '#plugins/schemas.ts'
import { EntityCache, type EntityCacheOptions, type LookupRequest } from './entity-cache.ts'

const ALICE = { id: 'c1', username: 'alice', custom_id: null }
const KEY = { id: 'k1', key: 'secret-1', consumer: { id: 'c1' }, [EXPIRES_AT]: null }

function put(kind: string, document: Document): Change {
  return { kind, workspace: '', id: document.id, document }
}

function gone(kind: string, id: string): Change {
  return { kind, workspace: '', id, document: null }
}

/** A store of rows that the test changes, and how often it was asked. */
function cacheOver(rows: Record<string, Document[]>, options: Partial<EntityCacheOptions> = {}) {
  const asked: LookupRequest[] = []
  const answer = (request: LookupRequest): Document[] =>
    (rows[request.kind] ?? []).filter((row) =>
      request.by === 'id'
        ? row.id === request.id
        : request.by === 'unique'
          ? row[request.field] === request.value
          : (row[request.field] as { id: string } | null)?.id === request.id,
    )
  const cache = new EntityCache({
    definitions: new Map([...coreEntities, ...pluginEntities].map((definition) => [definition.kind, definition])),
    maxBytes: 1024 ** 2,
    maxMisses: 100,
    maxPending: 100,
    nowMs: () => 0,
    ask: async (request) => {
      asked.push(request)
      return answer(request)
    },
    held: (kind, id) => rows[kind]?.find((row) => row.id === id),
    heldAll: (kind) => rows[kind] ?? [],
    ...options,
  })
  return { cache, asked, answer }
}

/** An `ask` whose answers the test gives when it likes. */
function answersByHand() {
  const open: { resolve: (documents: Document[]) => void; reject: (error: Error) => void }[] = []
  return {
    open,
    ask: () => new Promise<Document[]>((resolve, reject) => open.push({ resolve, reject })),
  }
}

const aTurn = () => new Promise((resolve) => setImmediate(resolve))

test('asks once for what is then known without waiting', async () => {
  const { cache, asked } = cacheOver({ keyauth_credentials: [KEY] })
  assert.deepEqual(await cache.lookup('keyauth_credentials', 'key', 'secret-1'), KEY)
  assert.deepEqual(cache.lookup('keyauth_credentials', 'key', 'secret-1'), KEY)
  assert.equal(asked.length, 1)
  assert.deepEqual(cache.figures, { hits: 1, misses: 1 })
})

test('a key that does not exist is remembered, and found as soon as it is made', async () => {
  const rows: Record<string, Document[]> = { keyauth_credentials: [] }
  const { cache, asked } = cacheOver(rows)
  assert.equal(await cache.lookup('keyauth_credentials', 'key', 'secret-1'), null)
  assert.equal(cache.lookup('keyauth_credentials', 'key', 'secret-1'), null)
  assert.equal(asked.length, 1)
  rows['keyauth_credentials'] = [KEY]
  cache.invalidate([put('keyauth_credentials', KEY)])
  assert.deepEqual(await cache.lookup('keyauth_credentials', 'key', 'secret-1'), KEY)
})

test('look-ups of one key at the same time are one question', async () => {
  const { open, ask } = answersByHand()
  const { cache } = cacheOver({}, { ask })
  const both = [
    cache.lookup('keyauth_credentials', 'key', 'secret-1'),
    cache.lookup('keyauth_credentials', 'key', 'secret-1'),
  ]
  assert.equal(open.length, 1)
  open[0]!.resolve([KEY])
  assert.deepEqual(await Promise.all(both.map(async (one) => one)), [KEY, KEY])
})

test('a deleted credential is gone with its change, under every key that found it', async () => {
  const rows: Record<string, Document[]> = { keyauth_credentials: [KEY] }
  const { cache } = cacheOver(rows)
  await cache.lookup('keyauth_credentials', 'key', 'secret-1')
  await cache.get('keyauth_credentials', 'k1')
  await cache.listBy('keyauth_credentials', 'consumer', 'c1')
  rows['keyauth_credentials'] = []
  cache.invalidate([gone('keyauth_credentials', 'k1')])
  assert.equal(await cache.lookup('keyauth_credentials', 'key', 'secret-1'), null)
  assert.equal(await cache.get('keyauth_credentials', 'k1'), null)
  assert.deepEqual(await cache.listBy('keyauth_credentials', 'consumer', 'c1'), [])
})

test('a credential that moves is found under its new value and in its new list, not in the old ones', async () => {
  const rows: Record<string, Document[]> = { keyauth_credentials: [KEY] }
  const { cache } = cacheOver(rows)
  await cache.lookup('keyauth_credentials', 'key', 'secret-1')
  await cache.lookup('keyauth_credentials', 'key', 'secret-2')
  await cache.listBy('keyauth_credentials', 'consumer', 'c1')
  await cache.listBy('keyauth_credentials', 'consumer', 'c2')
  const moved = { ...KEY, key: 'secret-2', consumer: { id: 'c2' } }
  rows['keyauth_credentials'] = [moved]
  cache.invalidate([put('keyauth_credentials', moved)])
  assert.equal(await cache.lookup('keyauth_credentials', 'key', 'secret-1'), null)
  assert.deepEqual(await cache.lookup('keyauth_credentials', 'key', 'secret-2'), moved)
  assert.deepEqual(await cache.listBy('keyauth_credentials', 'consumer', 'c1'), [])
  assert.deepEqual(await cache.listBy('keyauth_credentials', 'consumer', 'c2'), [moved])
})

test('a change takes out only what it touches', async () => {
  const other = { ...KEY, id: 'k2', key: 'secret-2' }
  const { cache, asked } = cacheOver({ keyauth_credentials: [KEY, other], consumers: [ALICE] })
  await cache.lookup('keyauth_credentials', 'key', 'secret-1')
  await cache.lookup('keyauth_credentials', 'key', 'secret-2')
  await cache.get('consumers', 'c1')
  cache.invalidate([put('keyauth_credentials', KEY)])
  assert.deepEqual(cache.lookup('keyauth_credentials', 'key', 'secret-2'), other)
  assert.deepEqual(cache.get('consumers', 'c1'), ALICE)
  assert.equal(asked.length, 3)
})

test('an answer that a change has overtaken is for those who asked before it, and is not kept', async () => {
  const { open, ask } = answersByHand()
  const { cache } = cacheOver({}, { ask })
  const before = cache.lookup('keyauth_credentials', 'key', 'secret-1')
  cache.invalidate([gone('keyauth_credentials', 'k1')])
  open[0]!.resolve([KEY]) // read before the deletion
  assert.deepEqual(await before, KEY)
  assert.equal(cache.peek('keyauth_credentials key secret-1'), undefined)
  const after = cache.lookup('keyauth_credentials', 'key', 'secret-1')
  open[1]!.resolve([])
  assert.equal(await after, null)
  assert.equal(cache.lookup('keyauth_credentials', 'key', 'secret-1'), null)
  assert.equal(open.length, 2)
})

test('one who asks after the change never gets the answer from before it, in whatever order they come', async () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const { open, ask } = answersByHand()
    const { cache } = cacheOver({}, { ask })
    void cache.lookup('keyauth_credentials', 'key', 'secret-1')
    cache.invalidate([gone('keyauth_credentials', 'k1')])
    const after = cache.lookup('keyauth_credentials', 'key', 'secret-1')
    for (const at of order) {
      open[at]!.resolve(at === 0 ? [KEY] : [])
      await aTurn()
    }
    assert.equal(await after, null)
    assert.equal(cache.lookup('keyauth_credentials', 'key', 'secret-1'), null)
  }
})

test('a look-up is answered by one question however often its kind changes meanwhile', async () => {
  const { open, ask } = answersByHand()
  const { cache } = cacheOver({}, { ask })
  const looking = cache.get('consumers', 'c1')
  for (let i = 0; i < 100; i++) cache.invalidate([put('consumers', { id: `other-${i}` })])
  open[0]!.resolve([ALICE])
  assert.deepEqual(await looking, ALICE)
  assert.equal(open.length, 1)
})

test('look-ups that changes have overtaken count among those under way', async () => {
  const { open, ask } = answersByHand()
  const { cache } = cacheOver({}, { ask, maxPending: 2 })
  const overtaken = [cache.get('consumers', 'c1')]
  cache.invalidate([put('consumers', ALICE)])
  overtaken.push(cache.get('consumers', 'c1'))
  cache.clear()
  await assert.rejects(Promise.resolve(cache.get('consumers', 'c1')), { code: 'STORE_UNAVAILABLE' })
  for (const { resolve } of open) resolve([ALICE])
  await Promise.all(overtaken.map(async (one) => one))
  const third = cache.get('consumers', 'c1')
  open[2]!.resolve([ALICE])
  assert.deepEqual(await third, ALICE)
})

test('a change of another kind does not make a look-up ask again', async () => {
  const { open, ask } = answersByHand()
  const { cache } = cacheOver({}, { ask })
  const looking = cache.lookup('keyauth_credentials', 'key', 'secret-1')
  cache.invalidate([put('consumers', ALICE)])
  open[0]!.resolve([KEY])
  assert.deepEqual(await looking, KEY)
  assert.equal(open.length, 1)
})

test('a look-up under way when everything is reloaded is not kept', async () => {
  const { open, ask } = answersByHand()
  const { cache } = cacheOver({}, { ask })
  const looking = cache.get('consumers', 'c1')
  cache.clear()
  open[0]!.resolve([ALICE])
  assert.deepEqual(await looking, ALICE)
  const later = cache.get('consumers', 'c1')
  open[1]!.resolve([])
  assert.equal(await later, null)
})

test('a store that cannot be asked is an error and never an unknown key', async () => {
  const { open, ask } = answersByHand()
  const { cache } = cacheOver({}, { ask })
  const looking = cache.lookup('keyauth_credentials', 'key', 'secret-1')
  open[0]!.reject(Object.assign(new Error('no'), { code: 'STORE_UNAVAILABLE' }))
  await assert.rejects(Promise.resolve(looking), { code: 'STORE_UNAVAILABLE' })
  const again = cache.lookup('keyauth_credentials', 'key', 'secret-1')
  open[1]!.resolve([KEY])
  assert.deepEqual(await again, KEY)
})

test('more look-ups at once than are allowed fail at once, and others are asked later', async () => {
  const { open, ask } = answersByHand()
  const { cache } = cacheOver({}, { ask, maxPending: 2 })
  const first = [cache.get('consumers', 'c1'), cache.get('consumers', 'c2')]
  await assert.rejects(Promise.resolve(cache.get('consumers', 'c3')), { code: 'STORE_UNAVAILABLE' })
  for (const { resolve } of open) resolve([])
  await Promise.all(first.map(async (one) => one))
  const third = cache.get('consumers', 'c3')
  open[2]!.resolve([])
  assert.equal(await third, null)
})

test('a credential is no longer found from the moment at which its time to live ends', async () => {
  let nowMs = 1_000_000
  const rows: Record<string, Document[]> = { keyauth_credentials: [{ ...KEY, [EXPIRES_AT]: 1010 }] }
  const { cache } = cacheOver(rows, { nowMs: () => nowMs })
  assert.equal((await cache.lookup('keyauth_credentials', 'key', 'secret-1'))?.id, 'k1')
  nowMs = 1_009_999
  assert.equal((cache.lookup('keyauth_credentials', 'key', 'secret-1') as Document).id, 'k1')
  rows['keyauth_credentials'] = [] // the store leaves out what has ended
  nowMs = 1_010_000
  assert.equal(await cache.lookup('keyauth_credentials', 'key', 'secret-1'), null)
})

test('random keys do not drive out those that exist', async () => {
  const { cache, asked } = cacheOver({ keyauth_credentials: [KEY] }, { maxMisses: 10 })
  await cache.lookup('keyauth_credentials', 'key', 'secret-1')
  for (let i = 0; i < 1000; i++) await cache.lookup('keyauth_credentials', 'key', `guess-${i}`)
  const before = asked.length
  assert.deepEqual(cache.lookup('keyauth_credentials', 'key', 'secret-1'), KEY)
  assert.equal(asked.length, before)
})

test('the cache stays inside its bytes, and what it drops is asked for again', async () => {
  const rows = { consumers: Array.from({ length: 500 }, (_, i) => ({ id: `c${i}`, username: 'x'.repeat(500) })) }
  const { cache, asked } = cacheOver(rows, { maxBytes: 100_000 })
  for (const { id } of rows.consumers) await cache.get('consumers', id)
  assert.ok(cache.bytes <= 100_000, `${cache.bytes} bytes`)
  await cache.get('consumers', 'c0')
  assert.equal(asked.length, 501)
})

test('a document that is larger than the whole cache is answered, not kept, and leaves no trace', async () => {
  const huge = { id: 'c1', username: 'x'.repeat(5000) }
  const { cache, asked } = cacheOver({ consumers: [huge] }, { maxBytes: 2048 })
  assert.deepEqual(await cache.get('consumers', 'c1'), huge)
  assert.deepEqual(await cache.get('consumers', 'c1'), huge)
  assert.equal(asked.length, 2)
  assert.equal(cache.bytes, 0)
  assert.equal(cache.linked, 0)
})

test('kinds that every worker holds are answered from there, without asking', () => {
  const route = { id: 'r1', name: 'one', service: { id: 's1' } }
  const { cache, asked } = cacheOver({ routes: [route, { id: 'r2', name: 'two', service: null }] })
  assert.deepEqual(cache.get('routes', 'r1'), route)
  assert.equal(cache.get('routes', 'r3'), null)
  assert.deepEqual(cache.lookup('routes', 'name', 'one'), route)
  assert.deepEqual(cache.listBy('routes', 'service', 's1'), [route])
  assert.equal(asked.length, 0)
})

test('a dropped key is asked for again, and can be looked at without being asked for', async () => {
  const { cache, asked } = cacheOver({ consumers: [ALICE] })
  assert.equal(cache.peek('consumers id c1'), undefined)
  await cache.get('consumers', 'c1')
  assert.deepEqual(cache.peek('consumers id c1'), [ALICE])
  cache.drop('consumers id c1')
  assert.equal(cache.peek('consumers id c1'), undefined)
  await cache.get('consumers', 'c1')
  assert.equal(asked.length, 2)
})

test('values are looked up, known and forgotten within their workspace', async () => {
  const rows: Record<string, Document[]> = { keyauth_credentials: [KEY] }
  const asked: LookupRequest[] = []
  const { cache } = cacheOver(rows, {
    ask: async (request) => {
      asked.push(request)
      return request.by === 'unique' && request.workspace === 'w2' ? rows['keyauth_credentials']! : []
    },
  })
  const there = cache.inWorkspace('w2')
  const find = (reader: EntityReader) => reader.lookup('keyauth_credentials', 'key', 'secret-1')
  assert.equal(await find(cache), null)
  assert.deepEqual(await find(there), KEY)
  assert.equal(find(cache), null)
  assert.deepEqual(find(there), KEY)
  assert.equal(asked.length, 2)
  cache.invalidate([{ ...put('keyauth_credentials', KEY), workspace: 'w2' }])
  assert.equal(find(cache), null)
  assert.deepEqual(await find(there), KEY)
})
