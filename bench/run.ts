/**
 * `npm run bench`: the gateway's cost beside nginx's, its memory and its manners under load, against bench/limits.ts.
 *
 *   --only plain,tls   some rows, by their names in limits.ts
 *   --rounds 5         rounds of each row with a ratio (3)
 *   --soak-minutes 1   length of the load with aborts and changes (10)
 *   --subject nginx    measures nginx against itself: how far from 1.0 the ratios are is the noise of this machine
 *   --json             prints JSON instead of a table
 *   --record           writes docs/performance.json and the table in docs/performance.md
 *
 * Exit status 1 when a limit is missed.
 */
import { parseArgs } from 'node:util'
import { locatePart } from '../test/support/parts.ts'
import { runChild } from '../test/support/process.ts'
import { limits, type LimitId } from './limits.ts'
import { measureCpu, type StartSubject } from './request/cpu.ts'
import { measureIdle } from './request/idle.ts'
import { measureLatency } from './request/latency.ts'
import { measureReuse } from './request/reuse.ts'
import { measureSoak } from './request/soak.ts'
import { measureStream } from './request/stream.ts'
import { declarativeFor, works, type Work } from './request/works.ts'
import { measureChanges, measureHeap } from './scale/routes.ts'
import type { Bench, Figure } from './support/bench.ts'
import { checkMachine, provenance } from './support/machine.ts'
import { record, tableOf } from './support/report.ts'
import { createCertificate, startBackend, startMeasuredGateway, startReference } from './support/subjects.ts'

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    'soak-minutes': { type: 'string', default: '10' },
    subject: { type: 'string', default: 'meridian' },
    json: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
})

interface Measurement {
  /** The rows that it fills. */
  readonly ids: readonly LimitId[]
  readonly run: (backendPort: number) => Promise<Figure[]>
}

async function main(): Promise<void> {
  checkMachine()
  const wanted = selected()
  const bench = await prepare()
  const figures: Figure[] = []
  const backend = await startBackend(bench.programs.nginx)
  try {
    for (const { ids, run } of measurements(bench)) {
      if (!ids.some((id) => wanted.has(id))) continue
      if (!options.json) process.stderr.write(`${ids.join(', ')} ...\n`)
      try {
        figures.push(...(await run(backend.port)))
      } catch (error) {
        // One row that can't be measured is no reason to lose the others.
        process.stderr.write(`${ids.join(', ')} could not be measured: ${(error as Error).stack}\n`)
        process.exitCode = 1
      }
    }
  } finally {
    await backend.stop()
  }
  const measured = provenance(await nginxVersion(bench))
  if (options.json) process.stdout.write(`${JSON.stringify({ measured, figures }, null, 2)}\n`)
  else process.stdout.write(`${tableOf(figures)}\n`)
  if (options.record) record(figures, measured)
  if (figures.some(({ verdict }) => verdict === 'missed')) process.exitCode = 1
}

function selected(): ReadonlySet<string> {
  const known = limits.map(({ id }) => id as string)
  const wanted = options.only?.split(',') ?? known
  const unknown = wanted.filter((id) => !known.includes(id))
  if (unknown.length > 0) throw new Error(`--only: expected some of ${known.join(', ')}; got ${unknown.join(', ')}`)
  return new Set(wanted)
}

async function prepare(): Promise<Bench> {
  const rounds = Number(options.rounds)
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds: expected a number from 1 on, got ${options.rounds}`)
  const soakMinutes = Number(options['soak-minutes'])
  if (!(soakMinutes > 0)) throw new Error(`--soak-minutes: expected a number over 0, got ${options['soak-minutes']}`)
  const subject = options.subject
  if (subject !== 'meridian' && subject !== 'nginx')
    throw new Error(`--subject: expected meridian or nginx, got ${subject}`)
  if (subject === 'nginx' && options.record) throw new Error('--record is for figures of the gateway')
  const [nginx, wrk, h2load] = await Promise.all([locatePart('nginx'), locatePart('wrk'), locatePart('h2load')])
  return { programs: { nginx, wrk, h2load }, rounds, soakMinutes, subject }
}

function measurements(bench: Bench): Measurement[] {
  const startReferenceFor = async (backendPort: number, { servers, reference }: Partial<Work> = {}) =>
    await startReference(bench.programs.nginx, backendPort, {
      certificate: await createCertificate(),
      ...(servers && { servers }),
      ...(reference && { http: reference }),
    })

  /** The subject with one route for everything, beside a reference that does the same. */
  const withPlain = async (backendPort: number, act: (start: () => ReturnType<StartSubject>) => Promise<Figure[]>) => {
    const certificate = await createCertificate()
    return await act(() =>
      bench.subject === 'nginx'
        ? startReferenceFor(backendPort)
        : startMeasuredGateway(declarativeFor({}, backendPort, certificate)),
    )
  }

  const rows: Measurement[] = works.map((work) => ({
    ids: [work.id],
    run: (backendPort) =>
      measureCpu(bench, work, backendPort, (declarative) =>
        bench.subject === 'nginx' ? startReferenceFor(backendPort, work) : startMeasuredGateway(declarative),
      ),
  }))
  rows.push(
    {
      ids: ['latency'],
      run: (backendPort) =>
        withPlain(backendPort, async (start) => {
          const reference = await startReferenceFor(backendPort)
          const subject = await start()
          try {
            return await measureLatency(bench, subject, reference)
          } finally {
            await Promise.all([subject.stop(), reference.stop()])
          }
        }),
    },
    {
      ids: ['idle'],
      run: (backendPort) =>
        withPlain(backendPort, async (start) => {
          const subject = await start()
          try {
            return await measureIdle(subject)
          } finally {
            await subject.stop()
          }
        }),
    },
    {
      ids: ['reuse'],
      run: (backendPort) =>
        withPlain(backendPort, async (start) => {
          const subject = await start()
          try {
            return await measureReuse(bench, subject, backendPort)
          } finally {
            await subject.stop()
          }
        }),
    },
  )
  if (bench.subject === 'meridian') {
    rows.push(
      { ids: ['stream'], run: (backendPort) => measureStream(backendPort) },
      { ids: ['heap'], run: (backendPort) => measureHeap(backendPort) },
      { ids: ['change', 'stall'], run: (backendPort) => measureChanges(backendPort) },
      { ids: ['soak-heap', 'soak-sockets', 'soak-timers'], run: (backendPort) => measureSoak(bench, backendPort) },
    )
  }
  return rows
}

async function nginxVersion({ programs }: Bench): Promise<string> {
  const { output } = await runChild({
    command: programs.nginx.command,
    args: ['-v'],
    env: { ...process.env, ...programs.nginx.env },
    timeoutMs: 10_000,
  })
  return /nginx\/\S+/.exec(output)?.[0] ?? 'nginx of unknown version'
}

await main()
