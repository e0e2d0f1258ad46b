/**
 * `npm run bench:balance`: what the algorithms cost, and what the loss of a target does to the requests for the others.
 *
 *   --only picks,cpu,loss   some parts
 *   --rounds 5              rounds of the whole request (3)
 *
 * Prints JSON. Exit status 1 when consistent hashing costs more than 1.05 of round-robin's CPU time for a request, or the p99
 * after the first second of a loss is more than 1.5 of that before.
 */
import { parseArgs } from 'node:util'
import type { Program } from '../../test/support/debian-part.ts'
import { startNginx } from '../../test/support/nginx.ts'
import { locatePart } from '../../test/support/parts.ts'
import { treeCpuSeconds } from '../support/cpu-time.ts'
import { OTHER_CORE } from '../support/machine.ts'
import { SMALL_BODY, startMeasuredGateway, type Subject } from '../support/subjects.ts'
import { runWrk } from '../support/wrk.ts'
import { measureLoss } from './loss.ts'
import { measurePicks } from './picks.ts'

const HASHING_LIMIT = 1.05
const LOSS_LIMIT = 1.5
const REQUESTS = 60_000

const { values: options } = parseArgs({
  options: { only: { type: 'string', default: 'picks,cpu,loss' }, rounds: { type: 'string', default: '3' } },
})
const parts = options.only.split(',')
const report: Record<string, unknown> = {}
if (parts.includes('picks')) report['picks'] = measurePicks()
if (parts.includes('cpu')) {
  const cpu = await measureWholeRequest(Number(options.rounds))
  report['cpu'] = cpu
  if (cpu.ratio > HASHING_LIMIT) process.exitCode = 1
}
if (parts.includes('loss')) {
  const nginx = await locatePart('nginx')
  const losses = [await measureLoss(nginx, 'killed'), await measureLoss(nginx, 'stopped')]
  report['loss'] = losses
  if (losses.some(({ ratio }) => ratio > LOSS_LIMIT)) process.exitCode = 1
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)

/** CPU time of a request over ten targets, hashed by its path and by turns: both at the same time of day, the least of each. */
async function measureWholeRequest(rounds: number): Promise<{ readonly ratio: number; readonly us: object }> {
  const [nginx, wrk] = await Promise.all([locatePart('nginx'), locatePart('wrk')])
  const backend = await startNginx(nginx, {
    ports: 10,
    wrapper: OTHER_CORE,
    http: (ports) =>
      `keepalive_requests 100000000;\n${ports
        .map((port) => `server { listen 127.0.0.1:${port}; location / { return 200 ${JSON.stringify(SMALL_BODY)}; } }`)
        .join('\n')}`,
  })
  const subjects: Subject[] = []
  try {
    for (const hashing of [{}, { algorithm: 'consistent-hashing', hash_on: 'path' }])
      subjects.push(
        await startMeasuredGateway({
          _format_version: '3.0',
          upstreams: [
            { name: 'ten', ...hashing, targets: backend.ports.map((port) => ({ target: `127.0.0.1:${port}` })) },
          ],
          services: [{ host: 'ten', routes: [{ paths: ['/'] }] }],
        }),
      )
    const least = [Infinity, Infinity]
    for (let round = 0; round <= rounds; round++) {
      for (const [at, subject] of subjects.entries()) {
        const us = await measureRound(wrk, subject)
        // The first round warms up.
        if (round > 0) least[at] = Math.min(least[at]!, us)
      }
    }
    const [turns, hashed] = least as [number, number]
    return { ratio: hashed / turns, us: { 'round-robin': turns, 'consistent-hashing': hashed } }
  } finally {
    for (const subject of subjects) await subject.stop()
    await backend.stop()
  }
}

async function measureRound(wrk: Program, subject: Subject): Promise<number> {
  const targets = Array.from({ length: 1000 }, (_, n) => ({ path: `/orders/${n}` }))
  const before = treeCpuSeconds(subject.pid)
  let after = before
  await runWrk(
    wrk,
    {
      url: `http://127.0.0.1:${subject.port}`,
      request: { method: 'GET', headers: {}, targets },
      expectedBody: SMALL_BODY,
      requests: REQUESTS,
      connections: 64,
      isGateway: true,
    },
    () => {
      after = treeCpuSeconds(subject.pid)
    },
  )
  return ((after - before) / REQUESTS) * 1e6
}
