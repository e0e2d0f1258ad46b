import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { PULSE_BEAT, PULSE_PLUGIN, PULSE_ROUTE } from '#core/pulse.ts'
import { WorkerPool, type WorkerLoss } from './worker-pool.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'meridian-pool-'))
after(() => rmSync(folder, { recursive: true }))

/** A worker that beats, answers what it is told, and does harm when told so. */
const entry = path.join(folder, 'worker.mjs')
writeFileSync(
  entry,
  `
import { parentPort, workerData } from 'node:worker_threads'
const pulse = new Int32Array(workerData.pulse)
setInterval(() => Atomics.add(pulse, ${PULSE_BEAT}, 1), 20)
Atomics.add(pulse, ${PULSE_BEAT}, 1)
parentPort.on('message', (message) => {
  if (message === 'hang') {
    Atomics.store(pulse, ${PULSE_ROUTE}, 11)
    Atomics.store(pulse, ${PULSE_PLUGIN}, 22)
    for (;;);
  }
  if (message === 'work') for (const began = performance.now(); performance.now() - began < 1500; );
  if (message === 'throw') throw new Error('thrown')
  if (message === 'exit') process.exit(0)
  if (message === 'fill') { const kept = []; for (;;) kept.push(Array.from({ length: 1000 }, (_, i) => ({ i }))) }
  parentPort.postMessage({ index: workerData.index, message })
})
parentPort.postMessage({ index: workerData.index, message: 'begun' })
`,
)

interface Said {
  readonly from: number
  readonly index: number
  readonly message: string
}

function bed(count: number, silenceMs = 400) {
  const said: Said[] = []
  const losses: { index: number; loss: WorkerLoss }[] = []
  const started: number[] = []
  const looks = new Set<() => void>()
  const changed = () => {
    for (const look of looks) look()
  }
  const pool = new WorkerPool<{ index: number; pulse: SharedArrayBuffer }, string>({
    count,
    entry: pathToFileURL(entry),
    heapMegabytes: 64,
    silenceMs,
    checkEveryMs: 50,
    startData: (index, pulse) => ({ index, pulse }),
    onMessage: (from, message) => {
      said.push({ from, ...(message as { index: number; message: string }) })
      if ((message as { message: string }).message === 'begun') pool.begun(from)
      changed()
    },
    onStarted: (index) => started.push(index),
    onLost: (index, loss) => {
      losses.push({ index, loss })
      changed()
    },
  })
  const until = (what: string, isSo: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        looks.delete(look)
        reject(new Error(`not in time: ${what}`))
      }, 20_000)
      const look = () => {
        if (!isSo()) return
        clearTimeout(timer)
        looks.delete(look)
        resolve()
      }
      looks.add(look)
      look()
    })
  const begun = (index: number) => said.filter((one) => one.index === index && one.message === 'begun').length
  pool.start()
  return { pool, said, losses, started, until, begun, [Symbol.asyncDispose]: () => pool.close() }
}

test('every worker starts with its own index and is told what is meant for it', async () => {
  await using made = bed(3)
  const { pool, until, said, started } = made
  await until('all begun', () => said.length === 3)
  assert.deepEqual(started, [0, 1, 2])
  pool.tell(1, 'for one')
  pool.tellAll('for all')
  await until('all heard', () => said.length === 7)
  assert.deepEqual(
    said.filter(({ message }) => message === 'for one').map(({ from, index }) => [from, index]),
    [[1, 1]],
  )
  assert.deepEqual(
    said
      .filter(({ message }) => message === 'for all')
      .map(({ from }) => from)
      .toSorted((a, b) => a - b),
    [0, 1, 2],
  )
  assert.equal(pool.running, 3)
})

for (const [how, reason] of [
  ['throw', 'died'],
  ['exit', 'died'],
  ['fill', 'out_of_memory'],
  ['hang', 'silent'],
] as const) {
  test(`a worker told to ${how} is lost once, as ${reason}, and replaced; the other goes on`, async () => {
    await using made = bed(2, how === 'fill' ? 60_000 : 400)
    const { pool, until, losses, begun, said } = made
    await until('both begun', () => said.length === 2)
    pool.tell(0, how)
    await until('the replacement begun', () => begun(0) === 2)
    assert.deepEqual(
      losses.map(({ index, loss }) => [index, loss.reason]),
      [[0, reason]],
    )
    assert.equal(begun(1), 1)
    pool.tell(0, 'again')
    pool.tell(1, 'still')
    await until(
      'both answer',
      () => said.some(({ message }) => message === 'again') && said.some(({ message }) => message === 'still'),
    )
    if (how === 'hang') assert.partialDeepStrictEqual(losses[0]!.loss, { routeHash: 11, pluginHash: 22 })
    if (how === 'throw') assert.equal(losses[0]!.loss.error?.message, 'thrown')
  })
}

test('a worker that was given work which takes long is waited for', async () => {
  await using made = bed(1)
  const { pool, until, losses, said } = made
  await until('begun', () => said.length === 1)
  pool.tell(0, 'work', 20_000)
  await until('the answer', () => said.some(({ message }) => message === 'work'))
  assert.deepEqual(losses, [])
})

test('a worker that ends because it is meant to is not lost and not replaced', async () => {
  await using made = bed(1)
  const { pool, until, losses, said, started } = made
  await until('begun', () => said.length === 1)
  pool.expectEnd()
  pool.tell(0, 'exit')
  await pool.close()
  assert.deepEqual(losses, [])
  assert.deepEqual(started, [0])
})

test('telling a worker that is gone is no error', async () => {
  const { pool, until, said } = bed(1)
  await until('begun', () => said.length === 1)
  await pool.close()
  pool.tell(0, 'late')
  pool.tell(7, 'nobody')
  assert.equal(said.length, 1)
})
