/** How long what is measured had to wait for a processor: a figure of a machine that is busy with other things says little without. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

export interface Pressure {
  /** Of the time, some task of this machine waited for a processor. */
  readonly 'machine waits %': number
  /** A thread of the gateways, on average, each time before it ran. */
  readonly 'run-queue delay ms': number
}

/** Starts counting; the returned function tells what it was since. `pids` are processes, with all their threads. */
export function watchPressure(pids: readonly number[]): () => Pressure {
  const startMs = performance.now()
  const [stalled, before] = [stalledUs(), runQueue(pids)]
  return () => {
    const after = runQueue(pids)
    const slices = after.slices - before.slices
    return {
      'machine waits %': round(((stalledUs() - stalled) / 1000 / (performance.now() - startMs)) * 100),
      'run-queue delay ms': slices <= 0 ? 0 : round((after.waitedNs - before.waitedNs) / slices / 1e6),
    }
  }
}

function stalledUs(): number {
  const file = '/proc/pressure/cpu'
  if (!existsSync(file)) return 0
  return Number(/^some .*total=(\d+)/m.exec(readFileSync(file, 'utf8'))?.[1] ?? 0)
}

/** schedstat: time on a processor, time waiting for one, number of slices. */
function runQueue(pids: readonly number[]) {
  let [waitedNs, slices] = [0, 0]
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      try {
        const [, waited = 0, count = 0] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')
          .split(' ')
          .map(Number)
        waitedNs += waited
        slices += count
      } catch {
        // A thread that has ended meanwhile.
      }
    }
  }
  return { waitedNs, slices }
}

const round = (value: number) => Math.round(value * 100) / 100
