/** Redis as a worker has it: counters of limits, and stored responses. */
import { dataCentersOf } from '#cluster/data-centers.ts'
import { createLocalCounters } from '#cluster/local-counters.ts'
import { openRedisLazily, subscribeLazily } from '#cluster/redis-lazy.ts'
import { RedisLimits } from '#cluster/redis-limits.ts'
import { RedisLinks } from '#cluster/redis-links.ts'
import { decisionMs, endpointOf } from '#cluster/redis-endpoint.ts'
import { PurgeLog } from '#cluster/purge-log.ts'
import { RedisResponseStores } from '#cluster/redis-response-stores.ts'
import type { ResponseCache } from '#cluster/response-cache.ts'
import { decodeStored, type StoredResponse } from '#pdk/stored-response.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { Logger } from '#telemetry/logger.ts'
import type { FromWorker, WorkerStart } from './worker-protocol.ts'

export interface WorkerRedis {
  readonly limits: RedisLimits
  readonly responses: RedisResponseStores<StoredResponse>
}

export function openWorkerRedis(
  { settings, redisLimits, counters, trusted, purgeLog }: WorkerStart,
  near: ResponseCache<StoredResponse>,
  figures: Figures,
  log: Pick<Logger, 'warn' | 'info'>,
  say: (message: FromWorker) => void,
): WorkerRedis {
  const { redis_key_prefix: keyPrefix } = settings
  const links = new RedisLinks({
    open: openRedisLazily,
    connectTimeoutMs: settings.redis_connect_timeout,
    queueSize: settings.redis_queue_size,
    keyPrefix,
    figures,
    onState: (redis, isUp, reason) => say({ type: 'redis', redis, isUp, reason }),
  })
  const endpoints = {
    commandTimeoutMs: decisionMs(settings.redis_command_timeout),
    ca: trusted,
    profiles: settings.redis_profiles,
  }
  const limits = new RedisLimits({
    buffers: redisLimits,
    links,
    endpoints,
    keyPrefix,
    dataCenters: dataCentersOf(settings),
    table: createLocalCounters(counters),
    log,
  })
  const responses = new RedisResponseStores({
    take: (block) => links.take(endpointOf(block, endpoints)),
    near,
    decode: decodeStored,
    log: new PurgeLog(purgeLog),
    subscribe: (endpoint, ...rest) =>
      subscribeLazily(endpoint, { connectTimeoutMs: settings.redis_connect_timeout }, ...rest),
    keyPrefix,
  })
  return { limits, responses }
}
