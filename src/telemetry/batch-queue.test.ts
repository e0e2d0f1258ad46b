import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { BatchQueue, type DropReason, type QueueParameters, type SendBatch } from './batch-queue.ts'

const PARAMETERS: QueueParameters = {
  maxBatchSize: 3,
  maxCoalescingMs: 1000,
  maxEntries: 10,
  maxBytes: 1000,
  initialRetryMs: 10,
  maxRetryDelayMs: 100,
  maxRetryTimeMs: 500,
  concurrency: 1,
}

interface Told {
  readonly level: string
  readonly message: string
  readonly fields: Record<string, unknown>
}

function open(send: SendBatch<string>, changes: Partial<QueueParameters> = {}, budget = { bytes: 0, limitBytes: 1e6 }) {
  const dropped: Record<string, { value: number }> = {}
  const told: Told[] = []
  const log = (level: string) => (fields: object, message: string) =>
    void told.push({ level, message, fields: { ...fields } })
  const counters = {
    delivered: { value: 0 },
    failures: { value: 0 },
    dropped: (reason: DropReason) => (dropped[reason] ??= { value: 0 }),
  }
  let closed = 0
  const queue = new BatchQueue<string>({
    parameters: { ...PARAMETERS, ...changes },
    send,
    onClosed: () => void closed++,
    budget,
    counters,
    log: { warn: log('warn'), info: log('info') },
    labels: { plugin: 'p' },
  })
  const drops = () => Object.fromEntries(Object.entries(dropped).map(([reason, { value }]) => [reason, value]))
  return { queue, counters, drops, told, budget, closed: () => closed }
}

/** A receiver that keeps what it gets, and refuses as long as it is told to. */
function receiver() {
  const batches: string[][] = []
  const state = { isAway: false, batches, attempts: 0 }
  const send: SendBatch<string> = (batch) => {
    state.attempts++
    if (state.isAway) return Promise.resolve('away')
    batches.push([...batch])
    return Promise.resolve(null)
  }
  return { state, send }
}

/** Time that passes when it is told to, with what waits for promises in between. */
function clock(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  return async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 5) {
      t.mock.timers.tick(5)
      for (let turn = 0; turn < 5; turn++) await Promise.resolve()
    }
  }
}

test('a batch leaves when it is full, or when its first entry has waited long enough', async (t) => {
  const pass = clock(t)
  const { state, send } = receiver()
  const { queue, counters } = open(send)
  for (const entry of ['a', 'b', 'c', 'd']) queue.push(entry, 1)
  await pass(5)
  assert.deepEqual(state.batches, [['a', 'b', 'c']])
  await pass(500)
  queue.push('e', 1)
  await pass(490)
  assert.equal(state.batches.length, 1)
  await pass(20)
  assert.deepEqual(state.batches.at(-1), ['d', 'e'])
  assert.equal(counters.delivered.value, 5)
  assert.deepEqual([queue.length, queue.bytes], [0, 0])
})

test('a batch that fails is sent again with growing delays, and the log is told once that it fails and once that it is over', async (t) => {
  const pass = clock(t)
  const { state, send } = receiver()
  const { queue, counters, told } = open(send, { maxRetryTimeMs: 60_000 })
  state.isAway = true
  queue.push('a', 1)
  await pass(1005)
  assert.equal(state.attempts, 1)
  await pass(10)
  assert.equal(state.attempts, 2)
  await pass(20)
  assert.equal(state.attempts, 3)
  await pass(40 + 80 + 100)
  assert.equal(state.attempts, 6)
  state.isAway = false
  await pass(100)
  assert.deepEqual(state.batches, [['a']])
  assert.deepEqual(
    told.map(({ level, message, fields }) => [level, message, fields['reason']]),
    [
      ['warn', 'entries cannot be delivered, they are sent again', 'away'],
      ['info', 'entries are delivered again', undefined],
    ],
  )
  assert.equal(counters.failures.value, 6)
})

test('what can not be delivered for too long is dropped and counted, and the next batch has its own time', async (t) => {
  const pass = clock(t)
  const { state, send } = receiver()
  const { queue, drops, told } = open(send, { maxBatchSize: 1 })
  state.isAway = true
  queue.push('a', 1)
  queue.push('b', 1)
  await pass(700)
  assert.deepEqual(drops(), { undeliverable: 1 })
  state.isAway = false
  await pass(200)
  assert.deepEqual(state.batches, [['b']])
  assert.deepEqual(
    told.map(({ message, fields }) => [message, fields['dropped']]),
    [
      ['entries cannot be delivered, they are sent again', undefined],
      ['entries are dropped', undefined],
      ['entries are delivered again', 1],
    ],
  )
})

test('a rejection counts as a failure with its message', async (t) => {
  const pass = clock(t)
  const { queue, told, drops } = open(() => Promise.reject(new Error('no route')), { maxRetryTimeMs: 0 })
  queue.push('a', 1)
  await pass(1010)
  assert.equal(told[0]!.fields['reason'], 'no route')
  assert.deepEqual(drops(), { undeliverable: 1 })
})

test('the oldest entries give way when there are too many, or too many bytes', async (t) => {
  const pass = clock(t)
  const { state, send } = receiver()
  const { queue, drops, told } = open(send, { maxBatchSize: 20, maxEntries: 3, maxBytes: 10 })
  for (const entry of ['a', 'b', 'c', 'd']) queue.push(entry, 1)
  queue.push('e', 8)
  queue.push('f', 11)
  assert.deepEqual([queue.length, queue.bytes, drops()], [3, 10, { full: 2, too_large: 1 }])
  assert.equal(told.length, 1, 'the log is told of the state, not of each drop')
  await pass(1010)
  assert.deepEqual(state.batches, [['c', 'd', 'e']])
})

test('all queues of a thread share one bound', () => {
  const budget = { bytes: 0, limitBytes: 10 }
  const never: SendBatch<string> = () => new Promise(() => undefined)
  const one = open(never, {}, budget)
  const two = open(never, {}, budget)
  one.queue.push('a', 6)
  two.queue.push('b', 4)
  two.queue.push('c', 3)
  assert.deepEqual([two.queue.length, budget.bytes], [1, 9])
  two.queue.push('d', 5)
  assert.deepEqual([two.queue.length, budget.bytes, two.drops()], [0, 6, { full: 3 }], 'it can free only its own')
})

test('batches that are sent at a time are bounded', async (t) => {
  const pass = clock(t)
  const open_: (() => void)[] = []
  const { queue } = open(() => new Promise((resolve) => open_.push(() => resolve(null))), {
    maxBatchSize: 1,
    concurrency: 2,
  })
  for (const entry of ['a', 'b', 'c']) queue.push(entry, 1)
  await pass(5)
  assert.equal(open_.length, 2)
  open_[0]!()
  await pass(5)
  assert.equal(open_.length, 3)
})

test('closing sends at once what waits, takes nothing more, and then closes what it sends by', async (t) => {
  const pass = clock(t)
  const { state, send } = receiver()
  const { queue, drops, closed } = open(send, { maxCoalescingMs: 60_000 })
  queue.push('a', 1)
  const done = queue.close(1000)
  queue.push('b', 1)
  await pass(5)
  await done
  assert.deepEqual([state.batches, drops(), closed()], [[['a']], { closed: 1 }, 1])
})

test('closing tries what failed again at once, and gives up at the deadline', async (t) => {
  const pass = clock(t)
  const { state, send } = receiver()
  const { queue, drops, closed, budget } = open(send, {
    maxRetryTimeMs: 3_600_000,
    initialRetryMs: 600_000,
    maxRetryDelayMs: 600_000,
  })
  state.isAway = true
  queue.push('a', 1)
  await pass(1010)
  assert.equal(state.attempts, 1)
  const done = queue.close(300)
  await pass(5)
  assert.equal(state.attempts, 2)
  await pass(400)
  await done
  assert.deepEqual([drops(), closed(), budget.bytes], [{ closed: 1 }, 1, 0])
})

test('a delivery that hangs is told to end at the deadline of the close', async (t) => {
  const pass = clock(t)
  const hang: SendBatch<string> = (_batch, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
  const { queue, drops, closed } = open(hang)
  queue.push('a', 1)
  const done = queue.close(100)
  await pass(150)
  await done
  assert.deepEqual([drops(), closed()], [{ closed: 1 }, 1])
})

test('every entry is delivered once or counted as dropped, in order, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 40 }), isAway: fc.boolean(), waits: fc.boolean() }), {
        maxLength: 60,
      }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 6 }),
      async (steps, maxBatchSize, maxEntries) => {
        const { state, send } = receiver()
        const { queue, counters, drops, budget } = open(send, {
          maxBatchSize,
          maxEntries,
          maxBytes: 60,
          maxCoalescingMs: 0,
          initialRetryMs: 0.01,
          maxRetryTimeMs: 0,
        })
        for (const [at, { bytes, isAway, waits }] of steps.entries()) {
          state.isAway = isAway
          queue.push(String(at), bytes)
          assert.ok(queue.length <= maxEntries && queue.bytes <= 60)
          if (waits) await new Promise((resolve) => setImmediate(resolve))
        }
        await queue.close(1000)
        const lost = Object.values(drops()).reduce((sum, count) => sum + count, 0)
        const got = state.batches.flat().map(Number)
        assert.equal(counters.delivered.value + lost, steps.length)
        assert.equal(got.length, counters.delivered.value)
        assert.deepEqual(
          got,
          got.toSorted((a, b) => a - b),
        )
        assert.deepEqual([queue.length, queue.bytes, budget.bytes], [0, 0, 0])
      },
    ),
    { numRuns: 60 },
  )
})
