/**
 * What Redis does in one step for stored responses. A response is a hash: `v` its bytes, `f` until when it is fresh (Unix ms), `i` a name
 * of this one. Beside it, while somebody fetches, the key of the claim. Every write sets a time to live in the same step.
 */
import { redisScript } from './redis-port.ts'

/** Of a response and of the claim on it, in one slot of a Cluster; `key` as X-Cache-Key says it. */
export function responseKeys(keyPrefix: string, space: string, key: string): readonly [string, string] {
  const response = `${keyPrefix}cache:${space}:{${key}}`
  return [response, `${response}:fetch`]
}

/**
 * Finds a response, or says who fetches it. KEYS: the response, the claim. ARGV: now, the claim of who asks, for how long it holds in ms
 * (0: who asks does not want to fetch), the name of a response that is no longer good ('' for none), 1 when a stale one is wanted, too.
 * Answers a word and the response's bytes: `fresh`; `none`; `mine`, the claim is set; `taken`, somebody else fetches; `pass`, what comes
 * can't be stored, so that nobody should wait.
 */
export const FIND_RESPONSE = redisScript(`
local found = redis.call('HMGET', KEYS[1], 'f', 'i')
local is_there = found[1]
if is_there and found[2] == ARGV[4] then
  redis.call('DEL', KEYS[1])
  is_there = false
end
if is_there and tonumber(found[1]) > tonumber(ARGV[1]) then return {'fresh', redis.call('HGET', KEYS[1], 'v')} end
local stale = is_there and ARGV[5] == '1' and redis.call('HGET', KEYS[1], 'v') or false
if ARGV[3] == '0' then return {'none', stale} end
local held = redis.call('GET', KEYS[2])
if held == 'pass' then return {'pass', stale} end
if held then return {'taken', stale} end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {'mine', stale}
`)

/** KEYS: the response, the claim. ARGV: bytes, until when they are fresh, their name, the time to live in ms, the claim to end. */
export const STORE_RESPONSE = redisScript(`
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'f', ARGV[2], 'i', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if redis.call('GET', KEYS[2]) == ARGV[5] then redis.call('DEL', KEYS[2]) end
return 1
`)

/** Ends a claim. KEYS: the claim. ARGV: the claim, for how many ms nobody is to wait. */
export const END_CLAIM = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], 'pass', 'PX', ARGV[2]) end
return 1
`)

/** Says that who fetches lives. KEYS: the claim. ARGV: the claim, for how long it holds in ms. */
export const KEEP_CLAIM = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)
