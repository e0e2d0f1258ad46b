import assert from 'node:assert/strict'
import { test } from 'node:test'
import { queueParameters } from './queue-parameters.ts'
import { completeConfig } from './testing.ts'
import { httpLog } from '#plugins/http-log/plugin.ts'

const parameters = (config: object) =>
  queueParameters(completeConfig(httpLog, { http_endpoint: 'http://127.0.0.1/', ...config }))

test('the defaults are Kong’s, in milliseconds', () => {
  assert.deepEqual(parameters({}), {
    maxBatchSize: 1,
    maxCoalescingMs: 1000,
    maxEntries: 10_000,
    maxBytes: null,
    initialRetryMs: 10,
    maxRetryDelayMs: 60_000,
    maxRetryTimeMs: 60_000,
    concurrency: 1,
  })
})

test('older names win where they are set to anything but their old default', () => {
  const queue = { max_batch_size: 5, max_coalescing_delay: 7 }
  const { maxBatchSize, maxCoalescingMs } = parameters({ queue, queue_size: 9, flush_timeout: 0.2 })
  assert.deepEqual([maxBatchSize, maxCoalescingMs], [9, 200])
  const same = parameters({ queue, queue_size: 1, flush_timeout: 2, retry_count: 3 })
  assert.deepEqual([same.maxBatchSize, same.maxCoalescingMs], [5, 7000])
})

test('no limit of batches at a time is still one', () => {
  assert.equal(parameters({ queue: { concurrency_limit: -1 } }).concurrency, 64)
})

test('a queue that can not be is refused with the field', () => {
  for (const [field, value] of Object.entries({
    max_batch_size: 0,
    max_coalescing_delay: -1,
    max_entries: 0,
    initial_retry_delay: 0,
    concurrency_limit: 2,
  }))
    assert.throws(() => parameters({ queue: { [field]: value } }), { field: `queue.${field}` }, field)
})
