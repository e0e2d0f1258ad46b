/**
 * What was purged in the Redis of a data center: a hash there with the number of the newest purge (`n`), a name of this numbering (`s`),
 * and for each place the number at which it was purged. Each purge is told on a channel, with the names.
 */
import { EVERYTHING } from '#model/cache-names.ts'
import { EVERY_PLACE, purgePlace } from './purge-log.ts'
import { RedisFailure, type RedisLink } from './redis-link.ts'
import { redisScript } from './redis-port.ts'

/** Longer than any response lives. */
const KEPT_MS = 8 * 86_400_000
/** More names at once purge everything. */
const MOST_NAMES = 1000
/** Names fall into so many places. Two that share one are purged together, which only costs a fetch. */
const PLACES = 1 << 20
/** When more of them were purged than this, everything is, and they begin anew: an upstream may be written to all the time. */
const MOST_PLACES = 65_536

/** KEYS: the hash. ARGV: its time to live, a name for the numbering if there is none, the number that is known. Answers the hash's fields, or the name and number alone when both are known. */
const LOAD = redisScript(`
if redis.call('HSETNX', KEYS[1], 's', ARGV[2]) == 1 then redis.call('HSET', KEYS[1], 'n', 0) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local is = redis.call('HMGET', KEYS[1], 's', 'n')
if is[1] == ARGV[3] then
  -- After a fail-over that lost the newest, numbers must not be given out twice.
  if tonumber(is[2]) < tonumber(ARGV[4]) then redis.call('HSET', KEYS[1], 'n', ARGV[4]) end
  if tonumber(is[2]) <= tonumber(ARGV[4]) then return {'s', is[1], 'n', ARGV[4]} end
end
return redis.call('HGETALL', KEYS[1])
`)

/** KEYS: the hash. ARGV: its time to live, a name for the numbering if there is none, the channel, the names as JSON, how many places at most, then the places. */
const PURGE = redisScript(`
redis.call('HSETNX', KEYS[1], 's', ARGV[2])
local number = redis.call('HINCRBY', KEYS[1], 'n', 1)
for i = 6, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], number) end
local space = redis.call('HGET', KEYS[1], 's')
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[5]) then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 's', space, 'n', number, '0', number)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[3], space .. ' ' .. number .. ' ' .. ARGV[4])
return {space, number}
`)

export type PurgeLink = Pick<RedisLink, 'run'>

/** The key of the hash, and the channel. */
export function purgeKey(keyPrefix: string): string {
  return `${keyPrefix}cache:purged`
}

export interface PurgeNumber {
  readonly space: string
  readonly number: number
}

/** Purges the names in one step, and tells everybody; null when Redis did not answer. */
export async function purgeInRedis(
  link: PurgeLink,
  keyPrefix: string,
  names: readonly string[],
): Promise<PurgeNumber | null> {
  const key = purgeKey(keyPrefix)
  const told = names.length > MOST_NAMES ? [EVERYTHING] : names
  const places = new Set(told.map(redisPlace))
  const args = [KEPT_MS, newSpace(), key, JSON.stringify(told), MOST_PLACES, ...places]
  const answer = await link.run(PURGE, [key], args)
  if (answer instanceof RedisFailure) return null
  const [space, number] = answer as readonly [string, number]
  return { space, number }
}

/** A message of the channel; null for what is none. */
export function parsePurge(message: string): (PurgeNumber & { readonly names: readonly string[] }) | null {
  const [, space = '', number = '', names = ''] = /^(\S+) (\d+) (\[.*\])$/s.exec(message) ?? []
  if (space === '') return null
  try {
    return { space, number: Number(number), names: JSON.parse(names) as string[] }
  } catch {
    // Not from a gateway: whoever may publish here may also purge.
    return null
  }
}

export class RedisPurgeTable {
  /** Of the numbering; '' before it is loaded. */
  space = ''
  now = 0
  readonly #places = new Map<number, number>()

  /** Reads what Redis has; 'same' when nothing was missed, null when Redis did not answer. */
  async load(link: PurgeLink, keyPrefix: string): Promise<'same' | 'other' | null> {
    const args = [KEPT_MS, newSpace(), this.space, this.now]
    const answer = await link.run(LOAD, [purgeKey(keyPrefix)], args)
    if (answer instanceof RedisFailure) return null
    const fields = answer as readonly string[]
    const places = new Map<number, number>()
    let space = ''
    let now = 0
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const [name, value] = [fields[i]!, fields[i + 1]!]
      if (name === 's') space = value
      else if (name === 'n') now = Number(value)
      else if (Number(name) < PLACES) places.set(Number(name), Number(value))
    }
    if (space === this.space && now <= this.now) return 'same'
    this.#places.clear()
    for (const [place, number] of places) this.#places.set(place, number)
    this.space = space
    this.now = Math.max(now, 0)
    return 'other'
  }

  note(number: number, names: readonly string[]): void {
    this.now = Math.max(this.now, number)
    for (const name of names) this.#places.set(redisPlace(name), number)
    if (this.#places.size <= MOST_PLACES) return
    this.#places.clear()
    this.#places.set(EVERY_PLACE, number)
  }

  /** Whether what was asked for when `number` was the newest, and belongs to these names, was purged since. */
  isPurged(number: number, names: readonly string[]): boolean {
    if (this.now <= number) return false
    const places = this.#places
    if ((places.get(EVERY_PLACE) ?? 0) > number) return true
    return names.some((name) => (places.get(redisPlace(name)) ?? 0) > number)
  }
}

/** The place of a name in Redis. */
export function redisPlace(name: string): number {
  return purgePlace(name, PLACES)
}

function newSpace(): string {
  return Math.random().toString(36).slice(2, 12)
}
