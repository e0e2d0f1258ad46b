import { locatePart } from '../../test/support/parts.ts'
import { startRedis } from '../../test/support/redis.ts'

/** As redis-server says it of itself. */
export async function redisVersion(): Promise<string> {
  await using redis = await startRedis(await locatePart('redis'))
  const [, version] = /^redis_version:(\S+)/m.exec(await redis.client.info('server')) ?? []
  if (version === undefined) throw new Error('redis-server does not say which version it is')
  return `Redis ${version}`
}
