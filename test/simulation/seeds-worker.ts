/** A thread that runs a range of seeds. */
import { parentPort, workerData } from 'node:worker_threads'
import { runSeeds, type SeedRange } from './seeds.ts'

parentPort?.postMessage(await runSeeds(workerData as SeedRange))
