import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { createRingBuffers, SharedRing } from './shared-ring.ts'

const keyOf = (name: string) => createHash('sha256').update(name).digest()
const LATER = 1e15

test('finds what was put, the newest of a key, and nothing else', () => {
  const ring = new SharedRing(createRingBuffers(1 << 20))
  ring.put(keyOf('a'), Buffer.from('one'), LATER)
  ring.put(keyOf('b'), Buffer.from('two'), LATER)
  ring.put(keyOf('a'), Buffer.from('three'), LATER)
  assert.equal(ring.get(keyOf('a'))?.value.toString(), 'three')
  assert.equal(ring.get(keyOf('b'))?.value.toString(), 'two')
  assert.equal(ring.get(keyOf('c')), null)
})

test('a record that ended is not found', () => {
  let now = 1_000
  const ring = new SharedRing(createRingBuffers(1 << 16), () => now)
  ring.put(keyOf('a'), Buffer.from('one'), 2_000)
  assert.ok(ring.get(keyOf('a')))
  now = 2_000
  assert.equal(ring.get(keyOf('a')), null)
})

test('new records overwrite the oldest, which are then gone, counted, and no longer current', () => {
  const ring = new SharedRing(createRingBuffers(1 << 16))
  ring.put(keyOf('first'), Buffer.alloc(1_000, 1), LATER)
  const first = ring.get(keyOf('first'))!
  assert.equal(ring.isCurrent(first), true)
  for (let n = 0; n < 100; n++) ring.put(keyOf(`more-${n}`), Buffer.alloc(1_000, 2), LATER)
  assert.equal(ring.get(keyOf('first')), null)
  assert.equal(ring.isCurrent(first), false)
  assert.ok(ring.get(keyOf('more-99')))
  assert.ok(ring.evicted > 0)
  assert.ok(ring.usedBytes <= ring.sizeBytes)
})

test('a record is told to be old before it is overwritten', () => {
  const ring = new SharedRing(createRingBuffers(1 << 16))
  ring.put(keyOf('first'), Buffer.alloc(100), LATER)
  const first = ring.get(keyOf('first'))!
  assert.equal(ring.isOld(first), false)
  for (let n = 0; ring.isCurrent(first); n++) {
    assert.ok(n < 1_000)
    if (ring.isOld(first)) return
    ring.put(keyOf(`more-${n}`), Buffer.alloc(900), LATER)
  }
  assert.fail('was overwritten without being old before')
})

test('what is too large is not kept', () => {
  const ring = new SharedRing(createRingBuffers(1 << 16))
  assert.equal(ring.put(keyOf('a'), Buffer.alloc(ring.largestValue + 1), LATER), false)
  assert.equal(ring.put(keyOf('a'), Buffer.alloc(ring.largestValue, 7), LATER), true)
  assert.deepEqual(ring.get(keyOf('a'))?.value, Buffer.alloc(ring.largestValue, 7))
})

test('a dropped record is gone, and its key can be used again', () => {
  const ring = new SharedRing(createRingBuffers(1 << 16))
  ring.put(keyOf('a'), Buffer.from('one'), LATER)
  const found = ring.get(keyOf('a'))!
  assert.equal(ring.delete(keyOf('a')), true)
  assert.equal(ring.delete(keyOf('a')), false)
  assert.equal(ring.isCurrent(found), false)
  ring.put(keyOf('a'), Buffer.from('two'), LATER)
  assert.equal(ring.get(keyOf('a'))?.value.toString(), 'two')
})

test('a thread that died while it wrote keeps others from writing for some seconds only', () => {
  let now = 1_000_000
  const buffers = createRingBuffers(1 << 16)
  const ring = new SharedRing(buffers, () => now)
  new Int32Array(buffers.index)[0] = now | 1
  assert.equal(ring.put(keyOf('a'), Buffer.from('one'), LATER), false)
  now += 5_100
  assert.equal(ring.put(keyOf('a'), Buffer.from('one'), LATER), true)
})

test('whatever is put, replaced and dropped, what is found is what was put last', () => {
  const step = fc.record({
    name: fc.integer({ min: 0, max: 30 }),
    size: fc.integer({ min: 0, max: 3_000 }),
    isDrop: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const ring = new SharedRing(createRingBuffers(1 << 15))
      const model = new Map<number, Buffer>()
      for (const [n, { name, size, isDrop }] of steps.entries()) {
        const key = keyOf(String(name))
        if (isDrop) {
          ring.delete(key)
          model.delete(name)
        } else {
          const value = Buffer.alloc(size, n & 0xff)
          model.set(name, value)
          assert.equal(ring.put(key, value, LATER), true)
          assert.deepEqual(ring.get(key)?.value, value)
        }
        for (let other = 0; other <= 30; other++) {
          const found = ring.get(keyOf(String(other)))
          if (found !== null) assert.deepEqual(found.value, model.get(other))
        }
        assert.ok(ring.usedBytes <= ring.sizeBytes)
      }
    }),
    { numRuns: 30 },
  )
})

test('threads that read while others overwrite never see half of a record', async () => {
  const buffers = createRingBuffers(1 << 16)
  const code = `
    import { workerData } from 'node:worker_threads'
    import { createHash } from 'node:crypto'
    const { SharedRing } = await import(workerData.module)
    const ring = new SharedRing(workerData.buffers)
    const keys = Array.from({ length: 40 }, (_, n) => createHash('sha256').update(String(n)).digest())
    let found = 0
    for (let n = 0; n < 10000; n++) {
      const name = (n * 7 + workerData.index * 13) % keys.length
      if (n % 3 === 0) ring.put(keys[name], Buffer.alloc((n * 37) % 4000 + 1, name), 1e15)
      const record = ring.get(keys[name])
      if (record === null) continue
      found++
      for (const byte of record.value) if (byte !== name) throw new Error('a byte of another record')
    }
    if (found === 0) throw new Error('nothing was ever found')
  `
  const module = new URL('./shared-ring.ts', import.meta.url).href
  await Promise.all(
    [0, 1, 2].map((index) => {
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
        workerData: { buffers, module, index },
      })
      return new Promise<void>((resolve, reject) => {
        worker.on('error', reject)
        worker.on('exit', () => resolve())
      })
    }),
  )
})
