/** Gateways that limit by one policy each, all before the same upstream, and the Redis of two of them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { locatePart } from '../../test/support/parts.ts'
import { startRedis, type RedisServer } from '../../test/support/redis.ts'
import { startBackend, startMeasuredGateway, type Subject } from '../support/subjects.ts'

export const POLICIES = ['local', 'synced', 'strict'] as const
export type Policy = (typeof POLICIES)[number]

/** High enough that nothing is refused, so that every request is counted and proxied. */
const LIMIT = { hour: 1_000_000_000, limit_by: 'ip' }
const SETTLE_MS = 500

export interface LimitedBed {
  readonly redis: RedisServer
  readonly subjects: Readonly<Record<Policy, Subject>>
  readonly stop: () => Promise<void>
}

export async function startLimitedBed(): Promise<LimitedBed> {
  const [nginx, redisProgram] = await Promise.all([locatePart('nginx'), locatePart('redis')])
  const backend = await startBackend(nginx)
  const redis = await startRedis(redisProgram)
  const stops: (() => Promise<unknown>)[] = [() => redis[Symbol.asyncDispose](), () => backend.stop()]
  const stop = async () => {
    for (const each of stops) await each()
  }
  try {
    const place = { policy: 'redis', redis: { host: redis.host, port: redis.port } }
    const configs: Record<Policy, object> = {
      local: { ...LIMIT, policy: 'local' },
      synced: { ...LIMIT, ...place, sync_rate: 0.2 },
      strict: { ...LIMIT, ...place, sync_rate: -1 },
    }
    const subjects: Partial<Record<Policy, Subject>> = {}
    for (const policy of POLICIES) {
      const declarative = {
        _format_version: '3.0',
        services: [
          {
            name: 's',
            host: '127.0.0.1',
            port: backend.port,
            routes: [{ name: 'all', paths: ['/'] }],
            plugins: [{ name: 'rate-limiting', config: configs[policy] }],
          },
        ],
      }
      // Answers of a gateway that has too much to do would be no figures.
      const subject = await startMeasuredGateway(declarative, { settings: { overload_delay: '0' } })
      stops.unshift(() => subject.stop())
      subjects[policy] = subject
    }
    await sleep(SETTLE_MS)
    return { redis, subjects: subjects as Record<Policy, Subject>, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Whether Redis counts what these gateways admit: else a figure would be that of a gateway that goes on without it. */
export async function countsInRedis({ redis }: LimitedBed): Promise<boolean> {
  return (await redis.client.dbsize()) > 0
}
