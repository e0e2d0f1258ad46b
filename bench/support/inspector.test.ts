import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startChild } from '../../test/support/process.ts'
import { INSPECT, inspect } from './inspector.ts'

const WORKER = `
  const { parentPort } = require('node:worker_threads')
  globalThis.answer = 42
  globalThis.held = Buffer.alloc(64 * 2 ** 20)
  setInterval(() => {}, 1000)
  parentPort.postMessage('up')`
const MAIN = `
  const { Worker } = require('node:worker_threads')
  globalThis.answer = 1
  const worker = new Worker(${JSON.stringify(WORKER)}, { eval: true })
  worker.once('message', () => console.log('up'))
  setInterval(() => {}, 1000); setInterval(() => {}, 1000)`

test('looks into the main thread and into workers of a running process', async (t) => {
  await using child = await startChild({ command: process.execPath, args: [INSPECT, '-e', MAIN] })
  await child.waitForOutput(/^up$/m)
  const { main, workers, close } = await inspect(child)
  t.after(close)
  assert.equal(workers.length, 1)
  const [worker] = workers
  assert.ok(worker)
  assert.equal(await main.evaluate('globalThis.answer'), 1)
  assert.equal(await worker.evaluate('globalThis.answer'), 42)
  assert.equal((await main.activeResources())['Timeout'], 2)
  assert.equal((await worker.activeResources())['Timeout'], 1)
  const held = await worker.heapAfterCollection()
  assert.ok(held.backingBytes >= 64 * 2 ** 20, `${held.backingBytes} bytes`)
  await worker.evaluate('globalThis.held = null')
  assert.ok((await worker.heapAfterCollection()).backingBytes < 16 * 2 ** 20)
})

test('a failing expression is an error that names the thread', async (t) => {
  await using child = await startChild({
    command: process.execPath,
    args: [INSPECT, '-e', 'setInterval(() => {}, 1000)'],
  })
  const { main, close } = await inspect(child)
  t.after(close)
  await assert.rejects(main.evaluate('nobody.knows'), /main thread: ReferenceError: nobody is not defined/)
})
