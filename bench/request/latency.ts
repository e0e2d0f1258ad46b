/** p99 of answers at 70 % of what each proxy can do at most, at a constant rate, beside nginx's. */
import { figure, type Bench, type Figure } from '../support/bench.ts'
import { runAtRate, type RateResult } from '../support/h2load.ts'
import { SMALL_BODY, type Subject } from '../support/subjects.ts'
import { runWrk } from '../support/wrk.ts'
import { works } from './works.ts'

const SHARE = 0.7
const SECONDS = 8
const CONNECTIONS = 64
const MAXIMUM_REQUESTS = 100_000

export async function measureLatency(bench: Bench, subject: Subject, reference: Subject): Promise<Figure[]> {
  const ours = await atShareOfMaximum(bench, subject)
  const theirs = await atShareOfMaximum(bench, reference)
  return [
    figure('latency', ours.p99Ms / theirs.p99Ms, {
      'p99 ms': ours.p99Ms,
      'nginx p99 ms': theirs.p99Ms,
      'p50 ms': ours.p50Ms,
      'nginx p50 ms': theirs.p50Ms,
      'p99.9 ms': ours.p999Ms,
      'nginx p99.9 ms': theirs.p999Ms,
      'rate /s': Math.round(ours.rate),
      'nginx rate /s': Math.round(theirs.rate),
    }),
  ]
}

async function atShareOfMaximum(bench: Bench, subject: Subject): Promise<RateResult & { readonly rate: number }> {
  const url = `http://127.0.0.1:${subject.port}`
  const plain = works.find(({ id }) => id === 'plain')
  if (!plain) throw new Error('there is no work "plain"')
  const load = { ...plain, url, requests: MAXIMUM_REQUESTS, connections: CONNECTIONS, isGateway: false }
  // The first run warms up.
  await runWrk(bench.programs.wrk, load, () => {})
  const { seconds } = await runWrk(bench.programs.wrk, load, () => {})
  const rate = (MAXIMUM_REQUESTS / seconds) * SHARE
  const options = { url: `${url}/`, connections: CONNECTIONS, headers: {}, bodyBytes: SMALL_BODY.length }
  return { ...(await runAtRate(bench.programs.h2load, options, rate, SECONDS)), rate }
}
