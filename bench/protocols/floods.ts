/**
 * What clients of HTTP/1.1 wait while others flood a proxy by HTTP/2, in times of what they wait without a flood: the gateway's, and
 * nginx's under the same attackers. What is measured has a core and a worker of its own. Attackers get what the load and the upstream
 * leave of the other core, which go before them by a real-time priority where this process may give it. What attackers cost the others by
 * what they have the machine do alone is measured, too: while they attack a port where connections are taken and dropped, on the core of
 * what is measured.
 */
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Program } from '../../test/support/debian-part.ts'
import { freeGatewayPorts, startGateway } from '../../test/support/gateway.ts'
import { http2Floods } from '../../test/support/http2-floods.ts'
import { startNginx } from '../../test/support/nginx.ts'
import { startChild } from '../../test/support/process.ts'
import { treeCpuSeconds } from '../support/cpu-time.ts'
import { runAtRate, type RateResult } from '../support/h2load.ts'
import { MEASURED_CORE, OTHER_CORE } from '../support/machine.ts'
import { SMALL_BODY, startBackend } from '../support/subjects.ts'

const RATE = 500
const SECONDS = 4
const CONNECTIONS = 16
/** An attack goes on for so long before it is looked at: what a proxy does for the first time is slow. */
const LEAD_MS = 2000

/** Whose turn is before that of all others. */
const FIRST = ['chrt', '--fifo', '20']
/** Whose turn is when nobody else wants one. */
const LAST = ['chrt', '--idle', '0']

/** Where attackers come from: each from an address of its own, or every connection from another one. */
const ORIGINS = ['each', 'new'] as const
type Origin = (typeof ORIGINS)[number]

export interface FloodFigure {
  /** The gateway's worst. */
  readonly ratio: number
  readonly gateway: FloodedFigure
  readonly nginx: FloodedFigure
}

interface FloodedFigure {
  readonly ratio: number
  readonly normalP50Ms: number
  readonly normalP99Ms: number
  readonly floods: Readonly<Record<string, Readonly<Record<Origin, Flooded>>>>
  /** What the same attackers, and their port, do to the others by the machine alone. */
  readonly machine: Readonly<Record<string, { readonly p50Ms: number; readonly p99Ms: number }>>
}

interface Flooded {
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of a core, by the proxy. */
  readonly cpuShare: number
  readonly connectionsPerSecond: number
  readonly mibPerSecond: number
}

interface Target {
  readonly pid: number
  /** Of HTTP/1.1. */
  readonly port: number
  /** Of HTTP/2 without TLS. */
  readonly http2Port: number
  readonly stop: () => Promise<unknown>
}

export async function measureFloods(
  programs: { readonly nginx: Program; readonly h2load: Program },
  only: RegExp,
  rounds: number,
): Promise<FloodFigure> {
  const floods = http2Floods.map(({ name }) => name).filter((name) => only.test(name))
  if (floods.length === 0) throw new Error(`there is no flood of ${only}`)
  const first = spawnSync(FIRST[0]!, [...FIRST.slice(1), 'true']).status === 0 ? FIRST : []
  if (first.length === 0)
    process.stderr.write('no real-time priority: figures are in part what attackers leave of the load\n')
  const others = [...OTHER_CORE, ...first]
  const backend = await startBackend(programs.nginx, others)
  const measure = async (target: Target, withMachine: boolean): Promise<FloodedFigure> => {
    const load = { ...LOAD, url: `http://127.0.0.1:${target.port}/`, wrapper: others }
    try {
      return await measureTarget(target, floods, rounds, withMachine, () =>
        runAtRate(programs.h2load, load, RATE, SECONDS),
      )
    } finally {
      await target.stop()
    }
  }
  try {
    const nginx = await measure(await startFloodedNginx(programs.nginx, backend.port), false)
    const gateway = await measure(await startFloodedGateway(backend.port), true)
    return { ratio: gateway.ratio, gateway, nginx }
  } finally {
    await backend.stop()
  }
}

async function startFloodedNginx(program: Program, backendPort: number): Promise<Target> {
  const started = await startNginx(program, {
    ports: 2,
    wrapper: MEASURED_CORE,
    http: ([port, http2Port]) => `
  upstream backend { server 127.0.0.1:${backendPort}; keepalive 128; }
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  server { listen 127.0.0.1:${port}; listen 127.0.0.1:${http2Port} http2; location / { proxy_pass http://backend; } }`,
  })
  const [port = 0, http2Port = 0] = started.ports
  return { pid: started.child.pid, port, http2Port, stop: () => started.stop() }
}

async function startFloodedGateway(backendPort: number): Promise<Target> {
  const ports = await freeGatewayPorts()
  const gateway = await startGateway({
    ports,
    wrapper: MEASURED_CORE,
    settings: { proxy_listen: `127.0.0.1:${ports.proxy} http2`, overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [{ url: `http://127.0.0.1:${backendPort}`, routes: [{ paths: ['/'] }] }],
    },
  })
  const { proxyPort } = gateway
  return { pid: gateway.child.pid, port: proxyPort, http2Port: proxyPort, stop: () => gateway.stop() }
}

const LOAD = { connections: CONNECTIONS, headers: {}, bodyBytes: SMALL_BODY.length }

/** Medians of some rounds. */
async function measureTarget(
  target: Target,
  names: readonly string[],
  rounds: number,
  withMachine: boolean,
  ask: () => Promise<RateResult>,
): Promise<FloodedFigure> {
  await ask()
  const normal: RateResult[] = []
  const floods = new Map(names.map((name) => [name, { each: [] as Flooded[], new: [] as Flooded[] }]))
  const machine = new Map(names.map((name) => [name, [] as RateResult[]]))
  for (let round = 0; round < rounds; round++)
    for (const name of names) {
      normal.push(await ask())
      for (const origin of ORIGINS) floods.get(name)![origin].push(await flooded(name, origin, target, ask))
      if (withMachine) machine.get(name)!.push(await besideSink(name, ask))
    }
  const normalP99Ms = median(normal.map(({ p99Ms }) => p99Ms))
  const figures = Object.fromEntries(
    [...floods].map(([name, of]) => [name, { each: medians(of.each), new: medians(of.new) }] as const),
  )
  return {
    ratio: Math.max(...Object.values(figures).flatMap((of) => ORIGINS.map((origin) => of[origin].p99Ms))) / normalP99Ms,
    normalP50Ms: median(normal.map(({ p50Ms }) => p50Ms)),
    normalP99Ms,
    floods: figures,
    machine: withMachine
      ? Object.fromEntries(
          [...machine].map(([name, all]) => [
            name,
            { p50Ms: median(all.map(({ p50Ms }) => p50Ms)), p99Ms: median(all.map(({ p99Ms }) => p99Ms)) },
          ]),
        )
      : {},
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

function medians(all: readonly Flooded[]): Flooded {
  const of = (take: (one: Flooded) => number) => median(all.map(take))
  return {
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    cpuShare: of(({ cpuShare }) => cpuShare),
    connectionsPerSecond: of(({ connectionsPerSecond }) => connectionsPerSecond),
    mibPerSecond: of(({ mibPerSecond }) => mibPerSecond),
  }
}

async function flooded(name: string, origin: Origin, target: Target, ask: () => Promise<RateResult>): Promise<Flooded> {
  const before = { cpu: 0, ms: 0 }
  const { asked, connections, bytes, seconds } = await underAttack(name, origin, target.http2Port, () => {
    before.cpu = treeCpuSeconds(target.pid)
    before.ms = performance.now()
    return ask().then(({ p50Ms, p99Ms }) => {
      const cpuShare = (treeCpuSeconds(target.pid) - before.cpu) / ((performance.now() - before.ms) / 1000)
      return { p50Ms, p99Ms, cpuShare }
    })
  })
  return { ...asked, connectionsPerSecond: connections / seconds, mibPerSecond: bytes / seconds / 2 ** 20 }
}

/** What the others wait while the attackers are taken and dropped by somebody else. */
async function besideSink(name: string, ask: () => Promise<RateResult>): Promise<RateResult> {
  const [command = '', ...prefix] = [...MEASURED_CORE, ...LAST]
  const child = path.join(import.meta.dirname, 'sink-child.ts')
  const sink = await startChild({
    command,
    args: [...prefix, process.execPath, child],
    env: process.env,
    name: 'sink',
  })
  try {
    const [, port] = await sink.waitForOutput(/PORT (\d+)/)
    return (await underAttack(name, 'each', Number(port), ask)).asked
  } finally {
    await sink.stop()
  }
}

async function underAttack<Asked>(
  name: string,
  origin: Origin,
  port: number,
  ask: () => Promise<Asked>,
): Promise<{ asked: Asked; connections: number; bytes: number; seconds: number }> {
  const [command = '', ...prefix] = [...OTHER_CORE, ...LAST]
  const child = path.join(import.meta.dirname, 'flood-child.ts')
  const attackers = await startChild({
    command,
    args: [...prefix, process.execPath, child, name, String(port), origin],
    env: process.env,
    name: 'attackers',
  })
  try {
    await attackers.waitForOutput(/ATTACKING/)
    const began = performance.now()
    await sleep(LEAD_MS)
    const asked = await ask()
    attackers.signal('SIGTERM')
    const [, connections, bytes] = await attackers.waitForOutput(/MADE (\d+) SENT (\d+)/)
    const seconds = (performance.now() - began) / 1000
    return { asked, connections: Number(connections), bytes: Number(bytes), seconds }
  } finally {
    await attackers.stop('SIGKILL')
  }
}
