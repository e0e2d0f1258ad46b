import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { TextHash } from '#core/hash-text.ts'
import { createLocalCounters, sizeFor } from './local-counters.ts'

const HOUR_MS = 3_600_000

function table(entries: number, start = 0) {
  let nowMs = start
  const buffer = new SharedArrayBuffer(sizeFor(entries))
  const counters = createLocalCounters(buffer, { now: () => nowMs, seed: () => 12345 })
  return { buffer, counters, passTo: (ms: number) => (nowMs = ms) }
}

test('adds up by key', () => {
  const { counters } = table(100)
  assert.equal(counters.add('a', 1, HOUR_MS), 1)
  assert.equal(counters.add('a', 2, HOUR_MS), 3)
  assert.equal(counters.add('b', 5, HOUR_MS), 5)
  assert.equal(counters.read('a'), 3)
  assert.equal(counters.read('nobody'), 0)
})

test('begins again at 0 when the counter has expired', () => {
  const { counters, passTo } = table(100)
  counters.add('a', 7, 1000)
  passTo(999)
  assert.equal(counters.read('a'), 7)
  passTo(1000)
  assert.equal(counters.read('a'), 0)
  assert.equal(counters.add('a', 1, 2000), 1)
})

test('adds nothing when the total would pass the limit, and says what it would have been', () => {
  const { counters } = table(100)
  assert.equal(counters.addUpTo('a', 1, 2, HOUR_MS), 1)
  assert.equal(counters.addUpTo('a', 1, 2, HOUR_MS), 2)
  assert.equal(counters.addUpTo('a', 1, 2, HOUR_MS), 3)
  assert.equal(counters.read('a'), 2)
  assert.equal(counters.addUpTo('never', 5, 4, HOUR_MS), 5)
  assert.equal(counters.read('never'), 0)
})

test('is never below 0 when more is taken back than was added', () => {
  const { counters } = table(100)
  assert.equal(counters.add('a', -3, HOUR_MS), 0)
  assert.equal(counters.add('a', 1, HOUR_MS), 1)
})

test('counts past 32 bits', () => {
  const { counters } = table(1)
  counters.add('a', 2 ** 40, HOUR_MS)
  assert.equal(counters.add('a', 1, HOUR_MS), 2 ** 40 + 1)
})

test('a full table drops expired counters first, then the soonest to expire', () => {
  const { counters, passTo } = table(1)
  for (let i = 0; i < 15; i++) counters.add(`key ${i}`, 1, 10_000 + i)
  passTo(10_001)
  counters.add('in the place of an expired one', 1, HOUR_MS)
  assert.equal(counters.evicted, 0)
  counters.add('in the place of the other expired one', 1, HOUR_MS)
  assert.equal(counters.evicted, 0)
  counters.add('in the place of one in use', 1, HOUR_MS)
  assert.equal(counters.evicted, 1)
  const inUse = Array.from({ length: 15 }, (_, i) => counters.read(`key ${i}`))
  assert.deepEqual(inUse, [0, 0, 0, ...Array.from({ length: 12 }, () => 1)])
})

test('holds the number of counters that it was made for, nearly without dropping any', () => {
  const { counters } = table(20_000)
  for (let i = 0; i < 20_000; i++) counters.add(`ratelimit:route:service:client ${i}:minute`, 1, HOUR_MS)
  assert.ok(counters.evicted < 40, `${counters.evicted} of 20000 were dropped`)
})

test('refuses sizes that hold nothing', () => {
  assert.throws(() => sizeFor(0), /expected 1 or more, got 0/)
  assert.throws(() => createLocalCounters(new SharedArrayBuffer(8)), /expected at least 512 bytes, got 8/)
})

test('two openings of one buffer see each other, whatever their own seed', () => {
  const buffer = new SharedArrayBuffer(sizeFor(10))
  const one = createLocalCounters(buffer, { seed: () => 1 })
  const other = createLocalCounters(buffer, { seed: () => 2 })
  one.add('a', 1, Date.now() + HOUR_MS)
  assert.equal(other.add('a', 1, Date.now() + HOUR_MS), 2)
})

test('a bucket whose writer died in the middle can be used again', () => {
  const buffer = new SharedArrayBuffer(sizeFor(1))
  const counters = createLocalCounters(buffer, { now: () => 0, deadAfterMs: 5 })
  Atomics.store(new Int32Array(buffer), 16, 1)
  assert.equal(counters.add('a', 1, HOUR_MS), 1)
})

test('agrees with a map for any sequence of operations', () => {
  const operation = fc.record({
    key: fc.constantFrom('', 'a', 'b', 'ab', 'ba', 'é', 'a'.repeat(300)),
    amount: fc.integer({ min: -2, max: 5 }),
    limit: fc.constantFrom(3, 10, Infinity),
    expiresInMs: fc.integer({ min: 1, max: 50 }),
    passMs: fc.integer({ min: 0, max: 20 }),
  })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const { counters, passTo } = table(100)
      const expected = new Map<string, { total: number; expiresAtMs: number }>()
      let nowMs = 0
      for (const { key, amount, limit, expiresInMs, passMs } of operations) {
        passTo((nowMs += passMs))
        const before = expected.get(key)
        const total = Math.max(0, (before !== undefined && before.expiresAtMs > nowMs ? before.total : 0) + amount)
        if (total <= limit) expected.set(key, { total, expiresAtMs: nowMs + expiresInMs })
        assert.equal(counters.addUpTo(key, amount, limit, nowMs + expiresInMs), total)
      }
      for (const [key, { total, expiresAtMs }] of expected)
        assert.equal(counters.read(key), expiresAtMs > nowMs ? total : 0)
    }),
  )
})

test('hashes of similar texts have nothing in common', () => {
  const hash = new TextHash(1, 2)
  const seen = new Set<string>()
  const bits = new Uint32Array(32)
  for (let i = 0; i < 20_000; i++) {
    hash.hash(`ratelimit:${i}`)
    seen.add(`${hash.a},${hash.b}`)
    for (let bit = 0; bit < 32; bit++) bits[bit]! += (hash.a >>> bit) & 1
  }
  assert.equal(seen.size, 20_000)
  for (const ones of bits) assert.ok(Math.abs(ones - 10_000) < 700, `a bit is set ${ones} times of 20000`)
})

const RACER = `
  const { workerData, parentPort } = require('node:worker_threads')
  const { module, buffer, keys, tries, limit, expiresAtMs, gate } = workerData
  import(module).then(({ createLocalCounters }) => {
    const counters = createLocalCounters(buffer)
    const start = new Int32Array(gate)
    Atomics.add(start, 1, 1)
    Atomics.wait(start, 0, 0, 10000)
    let admitted = 0
    for (let i = 0; i < tries; i++) if (counters.addUpTo('key ' + (i % keys), 1, limit, expiresAtMs) <= limit) admitted++
    parentPort.postMessage(admitted)
  })
`

async function race(options: {
  readonly keys: number
  readonly tries: number
  readonly limit: number
  readonly entries: number
}) {
  const buffer = new SharedArrayBuffer(sizeFor(options.entries))
  const gate = new SharedArrayBuffer(8)
  const start = new Int32Array(gate)
  const expiresAtMs = Date.now() + HOUR_MS
  const workers = Array.from(
    { length: 4 },
    () =>
      new Worker(RACER, {
        eval: true,
        workerData: {
          ...options,
          module: new URL('./local-counters.ts', import.meta.url).href,
          buffer,
          expiresAtMs,
          gate,
        },
      }),
  )
  const answers = workers.map((worker) => once(worker, 'message') as Promise<[number]>)
  while (Atomics.load(start, 1) < workers.length) await new Promise((resolve) => setTimeout(resolve, 5))
  Atomics.store(start, 0, 1)
  Atomics.notify(start, 0)
  const admitted = (await Promise.all(answers)).reduce((sum, [count]) => sum + count, 0)
  return { admitted, counters: createLocalCounters(buffer) }
}

test('four threads that add at the same time lose no increment', async () => {
  const { counters } = await race({ keys: 3, tries: 60_000, limit: 1e9, entries: 1 })
  assert.deepEqual(
    [0, 1, 2].map((key) => counters.read(`key ${key}`)),
    [80_000, 80_000, 80_000],
  )
})

test('four threads together admit exactly as many as the limit', async () => {
  const { admitted, counters } = await race({ keys: 2, tries: 40_000, limit: 25_000, entries: 10 })
  assert.equal(admitted, 50_000)
  assert.equal(counters.read('key 0'), 25_000)
})
