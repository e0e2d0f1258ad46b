/** Latency while one of ten targets is lost: killed, so that it refuses, or stopped, so that it takes connections and never answers. */
import { Agent, request } from 'node:http'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Program } from '../../test/support/debian-part.ts'
import { startGateway } from '../../test/support/gateway.ts'
import { startNginx } from '../../test/support/nginx.ts'
import { startChild } from '../../test/support/process.ts'

const TARGETS = 10
const RATE = 200
const BEFORE_MS = 8000
const AFTER_MS = 8000
/** The first second after the loss is the one in which it is found out. */
const GRACE_MS = 1000

export interface LossFigure {
  readonly way: 'killed' | 'stopped'
  readonly normalP99Ms: number
  readonly firstSecondP99Ms: number
  readonly laterP99Ms: number
  readonly ratio: number
  /** Answers other than 200, in the first second and later. */
  readonly failed: readonly [number, number]
}

interface Sample {
  readonly atMs: number
  readonly ms: number
  readonly isOk: boolean
}

export async function measureLoss(nginx: Program, way: LossFigure['way']): Promise<LossFigure> {
  const others = await startNginx(nginx, {
    ports: TARGETS - 1,
    http: (ports) => ports.map((port) => `server { listen 127.0.0.1:${port}; return 200 well; }`).join('\n'),
  })
  const lost = await startChild({
    command: process.execPath,
    args: [path.join(import.meta.dirname, 'target.ts')],
    env: process.env,
    name: 'target',
  })
  const [, port = ''] = await lost.waitForOutput(/PORT (\d+)/)
  const gateway = await startGateway({
    workers: 2,
    settings: { worker_silence_timeout: '10s' },
    declarative: {
      _format_version: '3.0',
      upstreams: [
        {
          name: 'ten',
          targets: [...others.ports, Number(port)].map((one) => ({ target: `127.0.0.1:${one}` })),
          healthchecks: {
            active: {
              timeout: 0.3,
              healthy: { interval: 0.25, successes: 1 },
              unhealthy: { interval: 0.25, tcp_failures: 2, timeouts: 2, http_failures: 2 },
            },
          },
        },
      ],
      services: [{ host: 'ten', connect_timeout: 500, read_timeout: 1000, routes: [{ paths: ['/'] }] }],
    },
  })
  try {
    await load(gateway.proxyPort, 3000, null)
    const samples = await load(gateway.proxyPort, BEFORE_MS + AFTER_MS, () =>
      lost.signal(way === 'killed' ? 'SIGKILL' : 'SIGSTOP'),
    )
    const part = (fromMs: number, toMs: number) => samples.filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
    const [normal, first, later] = [
      part(0, BEFORE_MS),
      part(BEFORE_MS, BEFORE_MS + GRACE_MS),
      part(BEFORE_MS + GRACE_MS, Infinity),
    ] as const
    const failed = (list: readonly Sample[]) => list.filter(({ isOk }) => !isOk).length
    return {
      way,
      normalP99Ms: p99(normal),
      firstSecondP99Ms: p99(first),
      laterP99Ms: p99(later),
      ratio: p99(later) / p99(normal),
      failed: [failed(first), failed(later)],
    }
  } finally {
    lost.signal('SIGKILL')
    await gateway.stop()
    await others.stop()
  }
}

/** Requests at a constant rate, whether they are answered or not; `inTheMiddle` is called after half the time. */
async function load(port: number, forMs: number, inTheMiddle: (() => void) | null): Promise<Sample[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 512 })
  const samples: Promise<Sample>[] = []
  const began = performance.now()
  let isCalled = inTheMiddle === null
  for (let sent = 0; performance.now() - began < forMs;) {
    const elapsed = performance.now() - began
    if (!isCalled && elapsed >= forMs / 2) {
      isCalled = true
      inTheMiddle?.()
    }
    for (; sent < (elapsed / 1000) * RATE; sent++) samples.push(ask(port, agent, elapsed))
    await sleep(1)
  }
  const all = await Promise.all(samples)
  agent.destroy()
  return all
}

function ask(port: number, agent: Agent, atMs: number): Promise<Sample> {
  const began = performance.now()
  return new Promise((resolve) => {
    const done = (isOk: boolean) => resolve({ atMs, ms: performance.now() - began, isOk })
    request({ host: '127.0.0.1', port, agent }, (response) => {
      response.resume()
      response.on('end', () => done(response.statusCode === 200))
    })
      .on('error', () => done(false))
      .end()
  })
}

function p99(samples: readonly Sample[]): number {
  const sorted = samples.map(({ ms }) => ms).toSorted((a, b) => a - b)
  return Math.round((sorted[Math.floor(sorted.length * 0.99)] ?? 0) * 100) / 100
}
