/**
 * What clients of HTTP/1.1 wait while others flood a proxy by HTTP/2, in times of what they wait without a flood: the gateway's, and
 * nginx's under the same attackers. What is measured has a core and a worker of its own; attackers get what the load and the upstream
 * leave of the other core, and nothing that they need, so that nobody is late for their sake.
 */
import path from 'node:path'
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
  readonly floods: Readonly<Record<string, Flooded>>
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
): Promise<FloodFigure> {
  const floods = http2Floods.map(({ name }) => name).filter((name) => only.test(name))
  if (floods.length === 0) throw new Error(`there is no flood of ${only}`)
  const backend = await startBackend(programs.nginx)
  try {
    const nginx = await measureTarget(programs.h2load, await startFloodedNginx(programs.nginx, backend.port), floods)
    const gateway = await measureTarget(programs.h2load, await startFloodedGateway(backend.port), floods)
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

async function measureTarget(h2load: Program, target: Target, names: readonly string[]): Promise<FloodedFigure> {
  const load = {
    url: `http://127.0.0.1:${target.port}/`,
    connections: CONNECTIONS,
    headers: {},
    bodyBytes: SMALL_BODY.length,
  }
  const ask = () => runAtRate(h2load, load, RATE, SECONDS)
  try {
    await ask()
    const normal = [await ask(), await ask()]
    const floods: Record<string, Flooded> = {}
    for (const name of names) floods[name] = await flooded(name, target, ask)
    normal.push(await ask())
    const normalP99Ms = median(normal.map(({ p99Ms }) => p99Ms))
    const ratio = Math.max(...Object.values(floods).map(({ p99Ms }) => p99Ms)) / normalP99Ms
    return { ratio, normalP50Ms: median(normal.map(({ p50Ms }) => p50Ms)), normalP99Ms, floods }
  } finally {
    await target.stop()
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

async function flooded(name: string, target: Target, ask: () => Promise<RateResult>): Promise<Flooded> {
  const [command, ...prefix] = [...OTHER_CORE, 'chrt', '--idle', '0']
  const child = path.join(import.meta.dirname, 'flood-child.ts')
  const attackers = await startChild({
    command,
    args: [...prefix, process.execPath, child, name, String(target.http2Port)],
    env: process.env,
    name: 'attackers',
  })
  try {
    await attackers.waitForOutput(/ATTACKING/)
    const before = treeCpuSeconds(target.pid)
    const began = performance.now()
    const { p50Ms, p99Ms } = await ask()
    const seconds = (performance.now() - began) / 1000
    const cpuShare = (treeCpuSeconds(target.pid) - before) / seconds
    attackers.signal('SIGTERM')
    const [, connections, bytes] = await attackers.waitForOutput(/MADE (\d+) SENT (\d+)/)
    const perSecond = (count: string | undefined) => Number(count) / seconds
    return {
      p50Ms,
      p99Ms,
      cpuShare,
      connectionsPerSecond: perSecond(connections),
      mibPerSecond: perSecond(bytes) / 2 ** 20,
    }
  } finally {
    attackers.signal('SIGKILL')
  }
}
