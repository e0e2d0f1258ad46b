/** Redis as a worker has it. */
import { dataCentersOf } from '#cluster/data-centers.ts'
import { createLocalCounters } from '#cluster/local-counters.ts'
import { openRedisLazily } from '#cluster/redis-lazy.ts'
import { RedisLimits } from '#cluster/redis-limits.ts'
import { RedisLinks } from '#cluster/redis-links.ts'
import type { Figures } from '#telemetry/figures.ts'
import type { Logger } from '#telemetry/logger.ts'
import type { FromWorker, WorkerStart } from './worker-protocol.ts'

export function openRedisLimits(
  { settings, redisLimits, counters, trusted }: WorkerStart,
  figures: Figures,
  log: Pick<Logger, 'warn' | 'info'>,
  say: (message: FromWorker) => void,
): RedisLimits {
  const { redis_key_prefix: keyPrefix } = settings
  return new RedisLimits({
    buffers: redisLimits,
    links: new RedisLinks({
      open: openRedisLazily,
      connectTimeoutMs: settings.redis_connect_timeout,
      queueSize: settings.redis_queue_size,
      keyPrefix,
      figures,
      onState: (redis, isUp, reason) => say({ type: 'redis', redis, isUp, reason }),
    }),
    endpoints: { commandTimeoutMs: settings.redis_command_timeout, ca: trusted, profiles: settings.redis_profiles },
    keyPrefix,
    dataCenters: dataCentersOf(settings),
    table: createLocalCounters(counters),
    log,
  })
}
