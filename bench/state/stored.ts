/** A hit that the node's memory has no room for, so that each comes out of Redis: how long it takes at half of the most a worker can do. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { locatePart } from '../../test/support/parts.ts'
import { startRedis } from '../../test/support/redis.ts'
import { inParallel } from '../support/admin-client.ts'
import { MEASURED_CORE, OTHER_CORE } from '../support/machine.ts'
import { startGateway } from '../../test/support/gateway.ts'
import { startNginx } from '../../test/support/nginx.ts'
import { runWrk, type LoadResult } from '../support/wrk.ts'
import { rounded, stateFigure } from './limits.ts'
import type { PartOptions, PartResult } from './run.ts'

/** As much again and again as the memory has room for. */
const KEYS = 8_000
const MEMORY = '1m'
const BODY = JSON.stringify({ text: 'x'.repeat(1_000) })
const CONNECTIONS = 64
const MOST_REQUESTS = 40_000
const SECONDS = 5
const ROUNDS = 3

export async function measureStored({ scale }: PartOptions): Promise<PartResult> {
  const [nginx, wrk, redisProgram] = await Promise.all([locatePart('nginx'), locatePart('wrk'), locatePart('redis')])
  const backend = await startNginx(nginx, {
    wrapper: OTHER_CORE,
    http: ([port]) => `
  server {
    listen 127.0.0.1:${port};
    default_type application/json;
    location / { return 200 '${BODY}'; }
  }`,
  })
  await using redis = await startRedis(redisProgram)
  const config = { strategy: 'redis', redis: { host: redis.host, port: redis.port }, cache_ttl: 3600 }
  const gateway = await startGateway({
    wrapper: MEASURED_CORE,
    settings: { proxy_cache_size: MEMORY, overload_delay: '0' },
    declarative: {
      _format_version: '3.0',
      services: [
        {
          name: 's',
          host: '127.0.0.1',
          port: backend.port,
          routes: [{ name: 'all', paths: ['/'] }],
          plugins: [{ name: 'proxy-cache', config }],
        },
      ],
    },
  })
  try {
    const paths = Array.from({ length: KEYS }, (_, n) => `/product/${n}`)
    await fill(gateway.proxyUrl, paths, async () => await redis.client.dbsize())
    const load = {
      url: gateway.proxyUrl,
      request: { method: 'GET', headers: {}, targets: paths.map((path) => ({ path })) },
      expectedBody: BODY,
      requests: Math.round(MOST_REQUESTS * scale),
      connections: CONNECTIONS,
      isGateway: true,
      isStored: true,
    }
    // The first run warms up.
    await runWrk(wrk, load, () => undefined)
    const before = await hitsOf(gateway.statusUrl)
    const { seconds } = await runWrk(wrk, load, () => undefined)
    const most = load.requests / seconds
    const rounds: LoadResult[] = []
    // Each connection asks for its part, as clients do that don't know of each other.
    let pauseMs = (CONNECTIONS / (most / 2)) * 1000
    const requests = Math.round((most / 2) * SECONDS * scale)
    // The first finds out how long pauses have to be, which don't have the answers' time in them.
    for (let round = -1; round < ROUNDS; round++) {
      const result = await runWrk(wrk, { ...load, requests, pauseMs }, () => undefined)
      pauseMs *= result.requests / result.seconds / (most / 2)
      if (round >= 0) rounds.push(result)
    }
    const after = await hitsOf(gateway.statusUrl)
    const fromRedis = (100 * (after - before)) / (load.requests + (ROUNDS + 1) * requests)
    if (fromRedis < 95) throw new Error(`only ${rounded(fromRedis)} % of the hits came out of Redis`)
    return {
      figures: [
        stateFigure('stored-p99', rounds.map(({ p99Ms }) => p99Ms).toSorted((a, b) => a - b)[ROUNDS >> 1]!, {
          'p50 ms': rounds.map(({ p50Ms }) => rounded(p50Ms)).join(' / '),
          'p99 ms': rounds.map(({ p99Ms }) => rounded(p99Ms)).join(' / '),
          'most a second': Math.round(most),
          'a second': rounds.map((one) => Math.round(one.requests / one.seconds)).join(' / '),
          'out of Redis %': rounded(fromRedis),
          bytes: BODY.length,
        }),
      ],
    }
  } finally {
    await gateway.stop()
    await backend.stop()
  }
}

/** Each once, and then until all of them are in Redis. */
async function fill(url: string, paths: readonly string[], size: () => Promise<number>): Promise<void> {
  const pool = new Pool(url, { connections: 16 })
  try {
    for (const untilMs = performance.now() + 60_000; (await size()) < paths.length; await sleep(200)) {
      if (performance.now() > untilMs) throw new Error(`${await size()} of ${paths.length} responses are in Redis`)
      await inParallel(paths.length, 16, async (n) => {
        const { statusCode, body } = await pool.request({ method: 'GET', path: paths[n]! })
        await body.text()
        if (statusCode !== 200) throw new Error(`${paths[n]}: ${statusCode}`)
      })
    }
  } finally {
    await pool.destroy()
  }
}

async function hitsOf(statusUrl: string): Promise<number> {
  const text = await (await fetch(`${statusUrl}/metrics`)).text()
  const [, hits] = /^meridian_cache_hits_total\{cache="redis"\} (\d+)/m.exec(text) ?? []
  if (hits === undefined) throw new Error('the gateway does not say how many hits came out of Redis')
  return Number(hits)
}
