import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPurgeLogBuffer, logPlace, PurgeLog } from '#cluster/purge-log.ts'
import { createResponseCacheBuffers, ResponseCache } from '#cluster/response-cache.ts'
import { EVERYTHING, PURGES } from '#model/cache-names.ts'
import type { Row } from '#model/document.ts'
import { decodeStored, encodeStored, type StoredResponse } from '#pdk/stored-response.ts'
import { GatewayPurges } from './gateway-purges.ts'
import type { MainRedis } from './gateway-redis.ts'

const facts = { status: 200, storedAtMs: 0, ageS: 0, freshForMs: 1000, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }

function bed(cassandra: { store: { epoch: number } } | null) {
  const responses = new ResponseCache<StoredResponse>({
    buffers: createResponseCacheBuffers(1 << 20),
    decode: decodeStored,
    nearBytes: 1,
  })
  const purgeLog = createPurgeLogBuffer()
  const purges = new GatewayPurges({
    settings: { redis_key_prefix: 'p:', proxy_cache_purge_rate: 2 },
    workers: { responses, purgeLog },
    redis: null as unknown as MainRedis,
    cassandra,
  })
  const put = (text: string, names: readonly string[]) => {
    const bytes = encodeStored({ ...facts, varyBy: null }, 'key', '', [Buffer.from(text)])
    assert.ok(responses.store(text, bytes, names, responses.generation, 1e15))
  }
  return { purges, responses, log: new PurgeLog(purgeLog), put, has: (text: string) => responses.find(text) !== null }
}

function row(revision: number, ...names: readonly string[]): Row {
  const place = logPlace(names[0]!)
  return { kind: PURGES, workspace: '', revision, document: { id: String(place), place, names } }
}

test('a purge in the log drops what this node has, and is known by its revision', () => {
  const { purges, log, put, has } = bed({ store: { epoch: 3 } })
  purges.take([row(5, 'tag:old')], true)
  assert.deepEqual([log.epoch, log.now], [3, 5])
  put('a', ['tag:x'])
  put('b', ['tag:y'])
  purges.take([row(7, 'tag:x')], false)
  assert.deepEqual([has('a'), has('b'), log.now], [false, true, 7])
  assert.equal(log.isPurged(6, ['tag:x']), true)
  assert.equal(log.isPurged(7, ['tag:x']), false)
  assert.equal(log.isPurged(6, ['tag:y']), false)
  assert.equal(log.isPurged(4, ['tag:old']), true)
})

test('names that fell into one row are all purged, and everything is', () => {
  const { purges, log, put, has } = bed({ store: { epoch: 1 } })
  purges.take([], true)
  put('a', ['tag:x'])
  put('b', ['tag:y'])
  purges.take([row(2, 'tag:x', 'tag:y')], false)
  assert.deepEqual([has('a'), has('b')], [false, false])
  put('c', ['tag:z'])
  purges.take([row(3, EVERYTHING)], false)
  assert.equal(has('c'), false)
  assert.equal(log.isPurged(2, ['tag:z']), true)
})

test('a state that is loaded anew says nothing of names, so that nothing is kept; of another epoch nothing counts', () => {
  const cassandra = { store: { epoch: 1 } }
  const { purges, log, put, has } = bed(cassandra)
  purges.take([row(5, 'tag:x')], true)
  put('a', [])
  purges.take([row(5, 'tag:x')], true)
  assert.equal(has('a'), false)
  assert.equal(log.now, 5)
  cassandra.store.epoch = 2
  purges.take([], true)
  assert.deepEqual([log.epoch, log.now, log.isPurged(1, ['tag:x'])], [2, 0, false])
})

test('a node whose log is its own purges at once, and takes nothing from it', async () => {
  const { purges, log, put, has } = bed(null)
  assert.equal(purges.isInLog, false)
  put('a', ['tag:x'])
  purges.take([row(5, 'tag:x')], false)
  assert.deepEqual([has('a'), log.now], [true, 0])
  assert.deepEqual(await purges.purge(['tag:x']), [])
  assert.equal(has('a'), false)
  assert.equal(await purges.get('0'.repeat(64)), null)
})

test('over the rate nothing may be purged', () => {
  const { purges } = bed(null)
  assert.equal(purges.mayPurge(1000), true)
  assert.equal(purges.mayPurge(1), false)
})
