import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryRuntimeStore } from '#store/runtime-memory.ts'
import { WorkerRuntime, type RuntimeRequest } from './worker-runtime.ts'

/** A worker whose questions wait until they are answered, from a store in memory. */
function worker() {
  const store = createMemoryRuntimeStore({ nowMs: Date.now })
  const asked: RuntimeRequest[] = []
  const waiting: (() => Promise<void>)[] = []
  const runtime: WorkerRuntime = new WorkerRuntime((id, request) => {
    asked.push(request)
    waiting.push(async () => {
      const { op, space, key } = request
      const value =
        op === 'put' || op === 'putIfAbsent'
          ? await store[op](space, key, request.value, request.ttlMs)
          : await store[op](space, key)
      runtime.answered(id, { value })
    })
  })
  const answerAll = async (): Promise<void> => {
    for (const answer of waiting.splice(0)) await answer()
  }
  return { runtime, asked, answerAll }
}

test('each plugin has its own values', async () => {
  const { runtime, answerAll, asked } = worker()
  const [one, other] = [runtime.of('oauth2'), runtime.of('session')]
  const put = one.put('s', 'k', { a: 1 }, 60_000)
  await answerAll()
  await put
  const got = Promise.all([one.get('s', 'k'), other.get('s', 'k')])
  await answerAll()
  assert.deepEqual(await got, [{ a: 1 }, undefined])
  assert.deepEqual(asked.map(({ space }) => space).slice(1), ['oauth2/s', 'session/s'])
})

test('what is recalled again is asked for once, and answered at once afterwards', async () => {
  const { runtime, answerAll, asked } = worker()
  const values = runtime.of('p')
  const put = values.put('s', 'k', 'v', 60_000)
  await answerAll()
  await put
  const both = Promise.all([values.recall('s', 'k'), values.recall('s', 'k')])
  await answerAll()
  assert.deepEqual(await both, ['v', 'v'])
  assert.equal(values.recall('s', 'k'), 'v')
  assert.equal(asked.length, 2)
})

test('what is not there is asked for anew', async () => {
  const { runtime, answerAll } = worker()
  const values = runtime.of('p')
  const first = values.recall('s', 'k')
  await answerAll()
  assert.equal(await first, undefined)
  const second = values.recall('s', 'k')
  assert.ok(second instanceof Promise)
  await answerAll()
  await second
})

test('a worker sees its own changes at once, also while it recalls', async () => {
  const { runtime, answerAll } = worker()
  const values = runtime.of('p')
  const put = values.put('s', 'k', 'old', 60_000)
  await answerAll()
  await put
  const before = values.recall('s', 'k')
  const taken = values.take('s', 'k')
  await answerAll()
  assert.deepEqual(await Promise.all([before, taken]), ['old', 'old'])
  const after = values.recall('s', 'k')
  assert.ok(after instanceof Promise)
  await answerAll()
  assert.equal(await after, undefined)
})

test('a store that can not be asked is an error, and is asked again', async () => {
  let last = 0
  const runtime = new WorkerRuntime((id) => (last = id))
  const values = runtime.of('p')
  const failed = values.recall('s', 'k')
  runtime.answered(last, null)
  await assert.rejects(Promise.resolve(failed), { code: 'STORE_UNAVAILABLE' })
  const again = values.recall('s', 'k')
  runtime.answered(last, { value: 'v' })
  assert.equal(await again, 'v')
})

test('more questions than there may be are refused', async () => {
  const runtime = new WorkerRuntime(() => undefined)
  const values = runtime.of('p')
  const under = Array.from({ length: 10_000 }, (_, index) => values.get('s', `${index}`))
  await assert.rejects(values.get('s', 'more'), { code: 'STORE_UNAVAILABLE' })
  for (let id = 1; id <= under.length; id++) runtime.answered(id, { value: 0 })
  await Promise.all(under)
})
