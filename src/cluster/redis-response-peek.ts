/** Looks at a stored response in Redis without taking part in its traffic: for who asks the Admin API. */
import { withPrefixes } from '#model/cache-names.ts'
import type { PurgeLog } from './purge-log.ts'
import { RedisFailure } from './redis-link.ts'
import { RedisPurgeTable, type PurgeLink } from './redis-purge-table.ts'
import { FIND_RESPONSE, responseKeys } from './redis-response-scripts.ts'
import { purgeSpace } from './shared-purges.ts'
import { unpackValue } from './shared-value.ts'

const MOST_UNPACKED = 4 << 20

/** `key` as X-Cache-Key says it. Null when Redis has none, or does not answer. */
export async function peekInRedis(
  link: PurgeLink,
  keyPrefix: string,
  log: PurgeLog,
  key: string,
): Promise<Buffer | null> {
  const table = new RedisPurgeTable()
  if ((await table.load(link, keyPrefix)) === null) return null
  const keys = responseKeys(keyPrefix, purgeSpace(log, table), key)
  const answer = await link.run(FIND_RESPONSE, keys, [Date.now(), '', 0, '', 1], 'bytes')
  if (answer instanceof RedisFailure) return null
  const bytes = (answer as readonly [Buffer, Buffer | null])[1]
  const found = bytes === null ? null : await unpackValue(bytes, MOST_UNPACKED)
  if (found === null || found.expiresAtMs <= Date.now()) return null
  const names = withPrefixes(found.names)
  const isPurged = log.isPurged(found.moment.log, names) || table.isPurged(found.moment.redis, names)
  return isPurged ? null : found.bytes
}
