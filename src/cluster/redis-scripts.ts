/**
 * What Redis does in one step for the limits. Every write sets a time to live in the same step, relative to Redis's own clock, so
 * that no key outlives its window by more than a moment, whoever crashes when, and no clock that is wrong ends a window early.
 */
import { redisScript } from './redis-port.ts'

/**
 * A decision over several windows: adds the cost to each of them if all have room for it, else to none. A window is a hash with a
 * field for each start of a node, of what it admitted, and the field `k` with the total. KEYS: the windows. ARGV: the node's start
 * and the cost, then for each window its limit (-1: none), its time to live in ms, the total that the node knows of, and what it
 * admitted itself.
 *
 * Nothing here gets less, and what nodes know counts: of a node's field and what the node says the greater one, of the sum and any
 * total that is known the greater one. So Redis learns what nodes admitted without it, and one that has lost counts, by an empty
 * restart or a fail-over, has them again.
 *
 * Answers 0 or the number of the window that refused, then the totals, then what the node admitted itself.
 */
export const TAKE = redisScript(`
local me = ARGV[1]
local cost = tonumber(ARGV[2])
local refused = 0
local totals, owns, stored = {}, {}, {}
for i = 1, #KEYS do
  local limit = tonumber(ARGV[4 * i - 1])
  local total = tonumber(ARGV[4 * i + 1])
  local own = tonumber(ARGV[4 * i + 2])
  local sum = 0
  stored[i] = 0
  local fields = redis.call('HGETALL', KEYS[i])
  for f = 1, #fields, 2 do
    local value = tonumber(fields[f + 1])
    if fields[f] == 'k' then total = math.max(total, value)
    elseif fields[f] == me then stored[i] = value
    else sum = sum + value end
  end
  owns[i] = math.max(own, stored[i])
  totals[i] = math.max(total, sum + owns[i])
  if refused == 0 and limit >= 0 and totals[i] + cost > limit then refused = i end
end
for i = 1, #KEYS do
  if refused == 0 then
    totals[i] = totals[i] + cost
    owns[i] = owns[i] + cost
  end
  if owns[i] > stored[i] then
    redis.call('HSET', KEYS[i], me, string.format('%.0f', owns[i]), 'k', string.format('%.0f', totals[i]))
    redis.call('PEXPIRE', KEYS[i], ARGV[4 * i])
  end
end
local answer = {refused}
for i = 1, #KEYS do answer[1 + i] = totals[i] end
for i = 1, #KEYS do answer[1 + #KEYS + i] = owns[i] end
return answer
`)

/**
 * Writes the row of a node's start, a field of the counter's hash, if it has more than the one there. KEYS: the counter. ARGV: the
 * node's start, its count, the time to live in ms. Answers the count in its row, and the sum of all rows.
 */
export const EXCHANGE = redisScript(`
local own = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
local count = tonumber(ARGV[2])
if count > own then
  own = count
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', count))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
local sum = 0
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do sum = sum + tonumber(value) end
return {own, sum}
`)
