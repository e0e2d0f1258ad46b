/** How many requests reach the upstream over a connection that was used before. */
import { figure, type Bench, type Figure } from '../support/bench.ts'
import type { Subject } from '../support/subjects.ts'
import { runWrk } from '../support/wrk.ts'
import { works } from './works.ts'

const REQUESTS = 100_000
const CONNECTIONS = 64

interface BackendCounts {
  readonly accepted: number
  readonly requests: number
}

/** From a pool that is empty, so that filling it counts too. */
export async function measureReuse(bench: Bench, subject: Subject, backendPort: number): Promise<Figure[]> {
  const plain = works.find(({ id }) => id === 'plain')
  if (!plain) throw new Error('there is no work "plain"')
  const before = await readCounts(backendPort)
  const url = `http://127.0.0.1:${subject.port}`
  await runWrk(
    bench.programs.wrk,
    { ...plain, url, requests: REQUESTS, connections: CONNECTIONS, isGateway: subject.name === 'meridian' },
    () => {},
  )
  const after = await readCounts(backendPort)
  const opened = after.accepted - before.accepted
  const requests = after.requests - before.requests
  return [figure('reuse', 100 * (1 - opened / requests), { requests, 'connections opened': opened })]
}

/** What nginx's stub_status counts. Asking may open a connection itself: one in 100,000. */
async function readCounts(port: number): Promise<BackendCounts> {
  const response = await fetch(`http://127.0.0.1:${port}/stub_status`)
  const [, accepted, requests] = /\n (\d+) \d+ (\d+) \n/.exec(await response.text()) ?? []
  return { accepted: Number(accepted), requests: Number(requests) }
}
