/**
 * What a stored response costs a worker without the rest of a request, from the node's memory and from Redis: processor time for each,
 * and how long one from Redis takes at half of the most that a worker can ask for.
 */
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { createPurgeLogBuffer, PurgeLog } from '#cluster/purge-log.ts'
import { openRedisLazily, subscribeLazily } from '#cluster/redis-lazy.ts'
import { RedisLinks } from '#cluster/redis-links.ts'
import { RedisResponseStores } from '#cluster/redis-response-stores.ts'
import type { RedisResponses } from '#cluster/redis-responses.ts'
import { createResponseCacheBuffers, ResponseCache } from '#cluster/response-cache.ts'
import { decodeStored, encodeStored, type StoredResponse } from '#pdk/stored-response.ts'
import { Figures } from '#telemetry/figures.ts'
import { locatePart } from '../../test/support/parts.ts'
import { standaloneEndpoint, startRedis } from '../../test/support/redis.ts'
import type { PartResult } from './run.ts'

const KEYS = 1000
const PREFIX = 'bench:'
/** Under way at a time, as of a busy worker. */
const AT_ONCE = 32
const MEMORY = 64 * 1024 ** 2
const MEASURED_MS = 3000

const textOf = (n: number): string => `route|GET|http://shop.test:80/product/${n % KEYS}`

/** A response of about so many bytes of JSON. */
function responseOf(bytes: number): Buffer {
  const rows: string[] = []
  for (let n = 0; rows.join(',').length < bytes; n++)
    rows.push(JSON.stringify({ id: n * 7919, name: `product ${(n * 31) % 997}`, price: ((n * 17) % 1000) / 10 }))
  const facts = { status: 200, storedAtMs: Date.now(), ageS: 0, freshForMs: 3_600_000 }
  const lines = 'Content-Type: application/json\r\nETag: "e"\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\n'
  return encodeStored({ ...facts, staleWhileRevalidateMs: 0, staleIfErrorMs: 0, varyBy: null }, 'k'.repeat(64), lines, [
    Buffer.from(`[${rows.join(',')}]`),
  ])
}

async function microseconds(run: (n: number) => unknown, count: number): Promise<number> {
  let least = Infinity
  for (let round = 0; round < 5; round++) {
    const before = process.cpuUsage()
    for (let n = 0; n < count; n++) run(n)
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, (user + system) / count)
    await turn()
  }
  return Math.round(least * 100) / 100
}

interface FromRedis {
  readonly cpuUs: number
  readonly mostPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

async function fromRedis(shared: RedisResponses<StoredResponse>): Promise<FromRedis> {
  const look = { claims: false, wantsStale: false }
  let done = 0
  let untilMs = performance.now() + MEASURED_MS
  const one = async () => {
    while (performance.now() < untilMs) {
      const answer = await shared.find(textOf(done++), look)
      if (answer?.state !== 'fresh') throw new Error(`not found: ${answer?.state}`)
    }
  }
  const before = process.cpuUsage()
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  const { user, system } = process.cpuUsage(before)
  const mostPerSecond = (done / MEASURED_MS) * 1000
  const cpuUs = (user + system) / done

  // At half of it, whoever comes does not wait for others to be done.
  const times: number[] = []
  const beganMs = performance.now()
  untilMs = beganMs + MEASURED_MS
  let asked = 0
  const under = new Set<Promise<void>>()
  while (performance.now() < untilMs) {
    const due = ((performance.now() - beganMs) / 1000) * (mostPerSecond / 2)
    for (; asked < due; asked++) {
      const atMs = performance.now()
      const asking = shared.find(textOf(asked), look)!.then(() => {
        times.push(performance.now() - atMs)
        under.delete(asking)
      })
      under.add(asking)
    }
    await turn()
  }
  await Promise.all(under)
  times.sort((a, b) => a - b)
  const at = (part: number) => Math.round(times[Math.floor(times.length * part)]! * 100) / 100
  return {
    cpuUs: Math.round(cpuUs * 10) / 10,
    mostPerSecond: Math.round(mostPerSecond),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }
}

export async function measureResponses(): Promise<PartResult> {
  await using redis = await startRedis(await locatePart('redis'))
  const near = new ResponseCache<StoredResponse>({
    buffers: createResponseCacheBuffers(MEMORY),
    decode: decodeStored,
    nearBytes: MEMORY,
  })
  const times = { connectTimeoutMs: 1000 }
  const links = new RedisLinks({
    ...times,
    open: openRedisLazily,
    queueSize: 10_000,
    keyPrefix: PREFIX,
    figures: new Figures(),
    onState: () => undefined,
  })
  const shared = new RedisResponseStores<StoredResponse>({
    take: () => links.take(standaloneEndpoint('bench', redis, 1000)),
    near,
    decode: decodeStored,
    log: new PurgeLog(createPurgeLogBuffer()),
    subscribe: (to, ...rest) => subscribeLazily(to, times, ...rest),
    keyPrefix: PREFIX,
  }).open({} as never)
  while ((await shared.find('-', { claims: false, wantsStale: false })) === null) await sleep(20)

  const results: object[] = []
  for (const bytes of [1000, 10_000, 100_000]) {
    const value = responseOf(bytes)
    const until = Date.now() + 3_600_000
    for (let n = 0; n < KEYS; n++) {
      near.store(textOf(n), value, [], near.generation, until)
      shared.store(textOf(n), value, ['shared'], {
        freshUntilMs: until,
        expiresAtMs: until,
        moment: shared.moment,
        claim: '',
      })
      if (n % 50 === 0) await sleep(5)
    }
    await sleep(200)
    const memoryUs = await microseconds((n) => near.find(textOf(n % 100)), 200_000)
    results.push({ bytes, memoryUs, redis: await fromRedis(shared) })
  }
  shared.close()
  links.close()
  return { figures: [], details: results }
}
