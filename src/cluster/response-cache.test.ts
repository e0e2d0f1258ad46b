import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createResponseCacheBuffers, ResponseCache } from './response-cache.ts'

const LATER = 1e15
const buffers = () => createResponseCacheBuffers(1 << 20)
const open = (shared = buffers(), nowMs?: () => number) =>
  new ResponseCache<string>({
    buffers: shared,
    decode: (bytes) => bytes.toString(),
    nearBytes: 1 << 16,
    ...(nowMs && { nowMs }),
  })
const put = (cache: ResponseCache<string>, text: string, value: string, names: readonly string[] = []) =>
  cache.store(text, Buffer.from(value), names, cache.generation, LATER)

test('what one worker stores the others find, and each sees at once when another replaces or drops it', () => {
  const shared = buffers()
  const one = open(shared)
  const other = open(shared)
  put(one, 'a', 'first')
  assert.equal(other.find('a'), 'first')
  put(one, 'a', 'second')
  assert.equal(other.find('a'), 'second')
  other.drop('a')
  assert.equal(one.find('a'), null)
})

test('a response is gone with each of its names, with its key, and with all', () => {
  const cache = open()
  const drops: ((cache: ResponseCache<string>) => void)[] = [
    (c) => c.purge('tag:x'),
    (c) => c.purge('tag:y'),
    (c) => c.drop('a'),
    (c) => void c.dropByKey(c.keyOf('a')),
    (c) => c.purgeAll(),
  ]
  for (const drop of drops) {
    put(cache, 'a', 'value', ['tag:x', 'tag:y'])
    put(cache, 'b', 'other', ['tag:z'])
    assert.equal(cache.find('a'), 'value')
    drop(cache)
    assert.equal(cache.find('a'), null)
    assert.equal(cache.findByKey(cache.keyOf('a')), null)
  }
  put(cache, 'b', 'other', ['tag:z'])
  cache.purge('tag:x')
  assert.equal(cache.find('b'), 'other')
})

test('a response that was asked for before a purge is not kept after it', () => {
  const cache = open()
  const { generation } = cache
  cache.purge('tag:x')
  assert.equal(cache.store('a', Buffer.from('old'), ['tag:x'], generation, LATER), false)
  assert.equal(cache.find('a'), null)
  assert.equal(cache.store('b', Buffer.from('old'), ['tag:y'], generation, LATER), true)
})

test('the end of a response holds for what a worker decoded before', () => {
  let now = 0
  const cache = open(buffers(), () => now)
  cache.store('a', Buffer.from('value'), [], 0, 1_000)
  assert.equal(cache.find('a'), 'value')
  now = 1_000
  assert.equal(cache.find('a'), null)
})

test('what is asked for again and again outlives what is not', () => {
  const cache = open(createResponseCacheBuffers(1 << 17))
  cache.store('kept', Buffer.alloc(500, 1), [], 0, LATER)
  cache.store('left', Buffer.alloc(500, 2), [], 0, LATER)
  for (let n = 0; n < 1_000; n++) {
    cache.store(`other-${n}`, Buffer.alloc(500, 3), [], 0, LATER)
    assert.notEqual(cache.find('kept'), null, `after ${n}`)
  }
  assert.equal(cache.find('left'), null)
})

test('of those who miss one fetches, and the others go on when it is done, in every worker', async () => {
  const shared = buffers()
  const one = open(shared)
  const other = open(shared)
  const token = one.startFill('a', 10_000)
  assert.notEqual(token, 0)
  assert.equal(other.startFill('a', 10_000), 0)
  const waits = [one.awaitFill('a', 10_000), other.awaitFill('a', 10_000), other.awaitFill('a', 10_000)]
  put(one, 'a', 'value')
  one.endFill('a', token)
  await Promise.all(waits)
  assert.equal(other.find('a'), 'value')
  assert.notEqual(other.startFill('a', 10_000), 0)
})

test('who fetches for long keeps the lock, and who waited before hears of the end', async () => {
  let nowMs = 0
  const buffers = createResponseCacheBuffers(1 << 16)
  const cache = new ResponseCache({ buffers, decode: (bytes) => bytes, nearBytes: 1000, nowMs: () => nowMs })
  const first = cache.startFill('a', 1000)
  const waiting = cache.awaitFill('a', 10_000)
  nowMs = 900
  const kept = cache.keepFill('a', first, 1000)
  nowMs = 1800
  assert.equal(cache.startFill('a', 1000), 0)
  cache.endFill('a', kept)
  await waiting
  const next = cache.startFill('a', 1000)
  assert.notEqual(next, 0)
  assert.equal(cache.keepFill('a', kept, 1000), 0, 'it is another one by now')
})

test('who fetches and never comes back holds up nobody for long, and cannot end the fill of the next', () => {
  let now = 1_000
  const cache = open(buffers(), () => now)
  const dead = cache.startFill('a', 10_000)
  assert.equal(cache.startFill('a', 10_000), 0)
  now += 10_001
  const next = cache.startFill('a', 10_000)
  assert.notEqual(next, 0)
  cache.endFill('a', dead)
  assert.equal(cache.startFill('a', 10_000), 0)
})

test('a wait ends at its time, too', async () => {
  const cache = open()
  cache.startFill('a', 10_000)
  await cache.awaitFill('a', 1)
})
