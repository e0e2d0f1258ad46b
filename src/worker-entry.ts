/** Where a worker thread begins. */
import { parentPort, workerData } from 'node:worker_threads'
import { keepCompiled, useCompileCache } from './compile-cache.ts'
import type { WorkerStart } from './worker-protocol.ts'

const start = workerData as WorkerStart
useCompileCache(start.settings.prefix)
const { startWorker } = await import('./worker.ts')
await startWorker(start, parentPort!, () => {
  // All workers run the same code.
  if (start.index === 0) keepCompiled()
})
