/**
 * `npm run bench:plugins`: CPU time of a request that a plugin takes part in, over the same request without it.
 *
 *   --only jwt,cors   some plugins
 *   --rounds 3        rounds, of which the least counts
 *   --record          writes the table in docs/performance.md
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createSocket } from 'node:dgram'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Program } from '../../test/support/debian-part.ts'
import { withMarked } from '../../test/support/marked-part.ts'
import { locatePart } from '../../test/support/parts.ts'
import { treeCpuSeconds } from '../support/cpu-time.ts'
import { checkMachine, machineLine, provenance } from '../support/machine.ts'
import { SMALL_BODY, startBackend, startMeasuredGateway, type Subject } from '../support/subjects.ts'
import { runWrk, type LoadRequest } from '../support/wrk.ts'
import { casesFor, consumers, SERVICE_ANSWER, type PluginCase } from './cases.ts'

const REQUESTS = 15_000
/** Cases between two rounds of the bare request. */
const BETWEEN = 6
/** By then what plugins deliver in batches is delivered. */
const DELIVERED_MS = 1_500
const CONNECTIONS = 32
const PAGE = path.resolve(import.meta.dirname, '..', '..', 'docs', 'performance.md')

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    record: { type: 'boolean', default: false },
  },
})

async function main(): Promise<void> {
  checkMachine()
  const [nginx, wrk] = [await locatePart('nginx'), await locatePart('wrk')]
  const folder = mkdtempSync(path.join(tmpdir(), 'meridian-bench-plugins-'))
  const backend = await startBackend(nginx)
  const service = createHttpServer((_request, response) => {
    response.setHeader('Content-Type', 'application/json').end(SERVICE_ANSWER)
  })
  const lines = createServer((socket) => socket.on('error', () => undefined).resume())
  const datagrams = createSocket('udp4')
  let subject: Subject | null = null
  try {
    const cases = casesFor({
      backendPort: backend.port,
      servicePort: await listen(service),
      linesPort: await listen(lines),
      folder,
    }).filter(isWanted)
    await new Promise<void>((resolve) => datagrams.bind((lines.address() as AddressInfo).port, '127.0.0.1', resolve))
    subject = await startMeasuredGateway(declarative(cases, backend.port), {
      settings: { functions: 'sandbox', plugin_paths: path.join(import.meta.dirname, 'nothing.ts') },
    })
    const micros = new Map<string, number>()
    const failed = new Map<string, string>()
    for (let round = 0; round <= Number(options.rounds); round++) {
      for (const one of inTurn(cases)) {
        if (failed.has(one.name)) continue
        try {
          const us = await measure(wrk, subject, one)
          // The first one warms up.
          if (round > 0) micros.set(one.name, Math.min(us, micros.get(one.name) ?? Infinity))
        } catch (error) {
          failed.set(one.name, (error as Error).message)
          process.stderr.write(`${one.name} could not be measured: ${(error as Error).message}\n`)
          process.exitCode = 1
        }
      }
    }
    const table = tableOf(cases, micros)
    process.stdout.write(`${table}\n`)
    if (options.record) {
      const measured = provenance(`${REQUESTS} requests a round, least of ${options.rounds}`)
      writeFileSync(PAGE, withMarked(readFileSync(PAGE, 'utf8'), 'plugins', [table, '', `- ${machineLine(measured)}`]))
    }
  } finally {
    await subject?.stop()
    service.closeAllConnections()
    service.close()
    lines.close()
    datagrams.close()
    await backend.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The requests without a plugin come again and again: what the machine does changes within a round. */
function* inTurn(cases: readonly PluginCase[]): Generator<PluginCase> {
  const bare = cases.filter(({ name }) => isBare(name))
  for (const [index, one] of cases.filter(({ name }) => !isBare(name)).entries()) {
    if (index % BETWEEN === 0) yield* bare
    yield one
  }
}

/** What others are compared with is always measured. */
function isWanted({ name }: PluginCase): boolean {
  return options.only === undefined || isBare(name) || name === 'key-auth' || options.only.split(',').includes(name)
}

const isBare = (name: string) => name.startsWith('bare')
const pathOf = (name: string) => `/${name.replace(' ', '-')}`

function declarative(cases: readonly PluginCase[], backendPort: number): object {
  const url = `http://127.0.0.1:${backendPort}`
  return {
    _format_version: '3.0',
    services: [
      {
        name: 'backend',
        url,
        routes: cases.map(({ name, config, after }) => ({
          name: name.replace(' ', '-'),
          paths: [pathOf(name)],
          plugins: [
            ...(after === undefined ? [] : [{ name: after }]),
            ...(isBare(name) ? [] : [{ name, ...(config && { config }) }]),
          ],
        })),
      },
      { name: 'other', url },
    ],
    consumers,
  }
}

async function measure(wrk: Program, subject: Subject, one: PluginCase): Promise<number> {
  const request: LoadRequest = { method: 'GET', headers: {}, ...one.request, targets: [{ path: pathOf(one.name) }] }
  const { requests = REQUESTS } = one
  const before = treeCpuSeconds(subject.pid)
  let after = before
  await runWrk(
    wrk,
    {
      url: `http://127.0.0.1:${subject.port}`,
      request,
      expectedBody: one.answer ?? SMALL_BODY,
      requests,
      connections: CONNECTIONS,
      isGateway: one.answer === undefined,
    },
    () => {
      after = treeCpuSeconds(subject.pid)
    },
  )
  if (one.isDeferred === true) {
    await sleep(DELIVERED_MS)
    after = treeCpuSeconds(subject.pid)
  }
  return ((after - before) / requests) * 1e6
}

function tableOf(cases: readonly PluginCase[], micros: ReadonlyMap<string, number>): string {
  const rows = cases.flatMap(({ name, request, after, note = '' }) => {
    const us = micros.get(name)
    if (us === undefined) return []
    const than = after ?? (request?.method === 'POST' ? 'bare POST' : 'bare')
    const over = isBare(name) ? '' : (us - (micros.get(than) ?? NaN)).toFixed(1)
    return [
      `| ${name} | ${us.toFixed(1)} | ${over} | ${[isBare(name) || than === 'bare' ? '' : `over ${than}`, note].filter(Boolean).join('; ')} |`,
    ]
  })
  return ['| plugin | us a request | of them for it | |', '|---|---|---|---|', ...rows].join('\n')
}

async function listen(server: ReturnType<typeof createServer> | ReturnType<typeof createHttpServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

await main()
