/**
 * What Redis does in one step for limits with algorithms, and for limits that data centers share. The rows of a counter are fields of
 * a hash, one for each start of a node, as in `redis-scripts.ts`; with data centers the name of a row begins with that of its data
 * center and a dot. Fields without a dot belong to this Redis alone. Rows, and what one data center gave another (`>GIVER.TAKER`),
 * only grow, so that copying them late, twice or in any order changes nothing.
 *
 * A reset writes down what was counted until then (`!all.`, or `!DATA CENTER.` of leased ones), which is then taken off.
 *
 * Every write sets a time to live in the same step. Numbers are answered as texts, because Redis cuts fractions off.
 */
import { MOST_OWED } from '#model/limit-window.ts'
import { redisScript } from './redis-port.ts'

const NUMBERS = `
local function text(number) return string.format('%.17g', number) end
`

/**
 * A decision over several limits: adds the cost to each if all have room, else to none. KEYS: for each limit its window and the one
 * before. ARGV: the node's start, the cost, 1 when the limits hold, the time in Unix ms; then for each limit its algorithm, the most,
 * the time to live in ms, the total that the node knows of, and of the window before, what the node itself counted, the weight of the
 * window before, and ms for a unit of a bucket.
 *
 * Answers 0 or the number of the limit that refused; then what is used of each, the totals, what the node counted, and when each
 * bucket is full.
 */
export const DECIDE = redisScript(`${NUMBERS}
local me, cost, limited, now = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local n = #KEYS / 2
local refused = 0
local function load(key)
  local found = {sum = 0, own = 0, k = 0, a = 0, p = 0, forgiven = 0}
  local fields = redis.call('HGETALL', key)
  for f = 1, #fields, 2 do
    local name, value = fields[f], tonumber(fields[f + 1])
    if name == 'k' or name == 't' or name == 'a' or name == 'p' then found[name] = value
    elseif name == '!all.' then found.forgiven = value
    elseif name == me then found.own = value
    else found.sum = found.sum + value end
  end
  return found
end
local limits = {}
for i = 1, n do
  local at = 4 + 8 * (i - 1)
  local l = {algorithm = ARGV[at + 1], most = tonumber(ARGV[at + 2]), ttl = ARGV[at + 3], unit = tonumber(ARGV[at + 8])}
  local current = load(KEYS[2 * i - 1])
  l.stored = current.own
  l.own = math.max(tonumber(ARGV[at + 6]), current.own)
  if l.algorithm == 'bucket' then
    local before = load(KEYS[2 * i])
    local total, totalBefore = current.sum + l.own, before.sum + before.own
    local full, applied, appliedBefore = current.t, current.a, current.p
    if not full then full, appliedBefore = before.t or 0, before.a end
    local owed = math.max(0, total - applied) + math.max(0, totalBefore - appliedBefore)
    l.full = math.min(math.max(full, now) + owed * l.unit, now + ${MOST_OWED} * l.most * l.unit)
    l.total, l.totalBefore, l.owed = total, math.max(appliedBefore, totalBefore), owed
    l.used = (l.full - now) / l.unit
  else
    l.total = math.max(tonumber(ARGV[at + 4]), current.k, current.sum + l.own)
    l.used = math.max(0, l.total - current.forgiven)
    if l.algorithm == 'sliding' then
      local before = load(KEYS[2 * i])
      local totalBefore = math.max(tonumber(ARGV[at + 5]), before.k, before.sum + before.own)
      l.used = l.used + tonumber(ARGV[at + 7]) * math.max(0, totalBefore - before.forgiven)
    end
  end
  if refused == 0 and limited and l.used + cost > l.most + 1e-9 then refused = i end
  limits[i] = l
end
for i = 1, n do
  local l, key = limits[i], KEYS[2 * i - 1]
  if refused == 0 then
    l.total, l.own, l.used = l.total + cost, l.own + cost, l.used + cost
    if l.full then l.full = l.full + cost * l.unit end
  end
  if l.own > l.stored or (l.owed or 0) > 0 then
    if l.full then
      redis.call('HSET', key, me, text(l.own), 't', text(l.full), 'a', text(l.total), 'p', text(l.totalBefore))
    else
      redis.call('HSET', key, me, text(l.own), 'k', text(l.total))
    end
    redis.call('PEXPIRE', key, l.ttl)
  end
end
local answer = {tostring(refused)}
for i = 1, n do answer[1 + i] = text(limits[i].used) end
for i = 1, n do answer[1 + n + i] = text(limits[i].total) end
for i = 1, n do answer[1 + 2 * n + i] = text(limits[i].own) end
for i = 1, n do answer[1 + 3 * n + i] = text(limits[i].full or 0) end
return answer
`)

/** A birth is asked for all the time; what is older than a year and a day began before every window. */
const BIRTH_LIFE_MS = 400 * 86_400_000
/** The clocks of nodes and of Redis differ by less. */
const CLOCKS_MS = 2000

/** Since when a Redis is: whoever comes to an empty one first notes the time. 0 once all is there that was before. */
const BORN = `
local function birth(key)
  local born = redis.call('GET', key)
  if born then return tonumber(born) end
  local time = redis.call('TIME')
  born = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('SET', key, born, 'PX', ${BIRTH_LIFE_MS})
  return tonumber(born)
end
`

/** KEYS: the birth. Answers it, and lets it be there longer. */
export const BIRTH = redisScript(`${BORN}
local born = birth(KEYS[1])
redis.call('PEXPIRE', KEYS[1], ${BIRTH_LIFE_MS})
return string.format('%.0f', born)
`)

/** All is there that was before. KEYS: the birth. ARGV: the birth that is meant. */
export const RESTORED = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '0', 'PX', ${BIRTH_LIFE_MS})
return 1
`)

/**
 * What a data center may use of a limit, and does: its even part, what it was given, less what it gave. `c` says that all is known
 * that was counted before; without it that is so only for a window that began after this Redis did.
 */
const SHARES = `${NUMBERS}
${BORN}
local function even(most, count, index)
  local part = math.floor(most / count)
  if index < most % count then return part + 1 end
  return part
end
local function begins(text, start) return string.sub(text, 1, #start) == start end
local function ends(text, tail) return string.sub(text, -#tail) == tail end
`

/**
 * A decision within the shares of a data center. KEYS: the windows, then the birth. ARGV: the node's start, the cost, 1 when the
 * limits hold, the data center, how many there are and its index from 0; then for each limit the most, the time to live, the total of
 * this data center that the node knows of, what the node counted, and when the window began.
 *
 * Answers 0 or the number of the limit that refused; then what is used of each over all data centers as far as known, the totals of
 * this data center, what the node counted, and what is left of the share (-1: it is not known yet).
 */
export const DECIDE_LEASED = redisScript(`${SHARES}
local me, cost, limited, dc, count, index = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local n = #KEYS - 1
local born = birth(KEYS[#KEYS])
local refused = 0
local limits = {}
for i = 1, n do
  local at = 6 + 5 * (i - 1)
  local l = {most = tonumber(ARGV[at + 1]), ttl = ARGV[at + 2], stored = 0, sum = 0, elsewhere = 0, k = 0, forgiven = 0}
  local start = tonumber(ARGV[at + 5])
  l.share = even(l.most, count, index)
  l.start = start
  local isKnown = start >= born + ${CLOCKS_MS}
  local fields = redis.call('HGETALL', KEYS[i])
  for f = 1, #fields, 2 do
    local name, value = fields[f], tonumber(fields[f + 1])
    if name == me then l.stored = value
    elseif name == 'k' then l.k = value
    elseif name == 'c' then isKnown = true
    elseif begins(name, '>') then
      if begins(name, '>' .. dc .. '.') then l.share = l.share - value end
      if ends(name, '.' .. dc) then l.share = l.share + value end
    elseif name == '!' .. dc .. '.' then l.forgiven = value
    elseif begins(name, '!') then l.elsewhere = l.elsewhere - value
    elseif begins(name, dc .. '.') then l.sum = l.sum + value
    elseif #name > 1 then l.elsewhere = l.elsewhere + value end
  end
  l.own = math.max(tonumber(ARGV[at + 4]), l.stored)
  l.total = math.max(tonumber(ARGV[at + 3]), l.k, l.sum + l.own)
  l.isKnown = isKnown
  if refused == 0 and limited and (not isKnown or l.total - l.forgiven + cost > l.share + 1e-9) then refused = i end
  limits[i] = l
end
for i = 1, n do
  local l = limits[i]
  if refused == 0 then l.total, l.own = l.total + cost, l.own + cost end
  -- Also where it refused: the exchange finds here how much is wanted of what.
  redis.call('HSET', KEYS[i], me, text(l.own), 'k', text(l.total), 'L', text(l.most), 's', text(l.start))
  redis.call('PEXPIRE', KEYS[i], l.ttl)
end
local answer = {tostring(refused)}
for i = 1, n do answer[1 + i] = text(limits[i].total - limits[i].forgiven + limits[i].elsewhere) end
for i = 1, n do answer[1 + n + i] = text(limits[i].total) end
for i = 1, n do answer[1 + 2 * n + i] = text(limits[i].own) end
for i = 1, n do
  local l = limits[i]
  answer[1 + 3 * n + i] = l.isKnown and text(l.share - l.total + l.forgiven) or '-1'
end
return answer
`)

/**
 * Takes over rows of another Redis that are more than those here. KEYS: the window. ARGV: its time to live in ms, 1 when everything
 * is known now that was counted before, then names and values. Answers the time to live in ms (-2: there is nothing), then all fields as they were
 * before.
 */
export const MERGE = redisScript(`
local have = {}
local fields = redis.call('HGETALL', KEYS[1])
for f = 1, #fields, 2 do have[fields[f]] = tonumber(fields[f + 1]) end
local news = {}
for f = 3, #ARGV, 2 do
  if tonumber(ARGV[f + 1]) > (have[ARGV[f]] or 0) then
    news[#news + 1] = ARGV[f]
    news[#news + 1] = ARGV[f + 1]
  end
end
if ARGV[2] == '1' and not have.c then
  news[#news + 1] = 'c'
  news[#news + 1] = '1'
end
if #news > 0 then
  redis.call('HSET', KEYS[1], unpack(news))
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
end
table.insert(fields, 1, tostring(redis.call('PTTL', KEYS[1])))
return fields
`)

/**
 * Gives another data center half of what this one has left more. KEYS: the window and the birth. ARGV: this data center and its
 * index, the taker and its index, how many there are, the most, when the window began. What is given is written here first, so that
 * whoever stops between this and the taker's taking it leaves too little and never too much. Answers all that was ever given to the
 * taker.
 */
export const GIVE = redisScript(`${SHARES}
local dc, index, taker, takerIndex, count, most, start = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local isKnown = start >= birth(KEYS[2]) + ${CLOCKS_MS}
local mine, theirs = even(most, count, index), even(most, count, takerIndex)
local used, known, given = 0, 0, 0
local field = '>' .. dc .. '.' .. taker
local fields = redis.call('HGETALL', KEYS[1])
for f = 1, #fields, 2 do
  local name, value = fields[f], tonumber(fields[f + 1])
  if name == 'k' then known = value
  elseif name == 'c' then isKnown = true
  elseif begins(name, '>') then
    if name == field then given = value end
    if begins(name, '>' .. dc .. '.') then mine = mine - value end
    if ends(name, '.' .. dc) then mine = mine + value end
    if begins(name, '>' .. taker .. '.') then theirs = theirs - value end
    if ends(name, '.' .. taker) then theirs = theirs + value end
  elseif name == '!' .. dc .. '.' then mine = mine + value
  elseif name == '!' .. taker .. '.' then theirs = theirs + value
  elseif begins(name, dc .. '.') then used = used + value
  elseif begins(name, taker .. '.') then theirs = theirs - value end
end
mine = mine - math.max(known, used)
local more = mine - math.max(0, theirs)
local gift = math.floor(more / 2)
-- The last one goes to who has none.
if theirs < 1 and mine >= 1 then gift = math.max(gift, 1) end
if not isKnown or gift < 1 or #fields == 0 then return text(given) end
redis.call('HSET', KEYS[1], field, text(given + gift))
return text(given + gift)
`)

/**
 * Notes windows that have changed, for the exchange. KEYS: the set. ARGV: its time to live in ms, how many it may have, then names.
 * Answers how many it has; those above are left out, and noted with their next change.
 */
export const NOTE = redisScript(`
local room = tonumber(ARGV[2]) - redis.call('SCARD', KEYS[1])
if room <= 0 then return -1 end
for i = 3, math.min(#ARGV, 2 + room) do redis.call('SADD', KEYS[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('SCARD', KEYS[1])
`)

/**
 * Says who exchanges for a data center. KEYS: the lease. ARGV: who asks, for how many ms. Answers the token of the holder if that is
 * who asks, else 0. Each new holder has a greater token, also after the Redis was emptied, for it is its time.
 */
export const LEAD = redisScript(`
local holder, token = unpack(redis.call('HMGET', KEYS[1], 'holder', 'token'))
if holder and holder ~= ARGV[1] then return '0' end
if not holder then
  local time = redis.call('TIME')
  token = string.format('%.0f', time[1] * 1000000 + time[2])
  redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', token)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return token
`)

/** Gives the lease back. KEYS: the lease. ARGV: the token. */
export const RETIRE = redisScript(`
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`)

/**
 * Takes names of changed windows out, for who holds the lease with this token only: one that was replaced while it was busy gets
 * nothing any more. KEYS: the lease and the set. ARGV: the token, how many. Answers 0 when it was replaced, else 1, how many are
 * left, and the names.
 */
export const CHANGED = redisScript(`
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return {'0'} end
local names = redis.call('SPOP', KEYS[2], ARGV[2])
table.insert(names, 1, tostring(redis.call('SCARD', KEYS[2])))
table.insert(names, 1, '1')
return names
`)

/**
 * Takes off what was counted until now. KEYS: the window. ARGV: the data center whose part it is, or nothing for all of it. Answers
 * whether there was anything.
 */
export const RESET = redisScript(`
local dc = ARGV[1]
local known, sum, field = 0, 0, '!' .. (dc == '' and 'all' or dc) .. '.'
local fields = redis.call('HGETALL', KEYS[1])
if #fields == 0 then return 0 end
for f = 1, #fields, 2 do
  local name, value = fields[f], tonumber(fields[f + 1])
  local first = string.sub(name, 1, 1)
  if name == 'k' then known = value
  elseif name == 't' then redis.call('HSET', KEYS[1], 't', '0')
  elseif #name > 1 and first ~= '!' and first ~= '>' and (dc == '' or string.sub(name, 1, #dc + 1) == dc .. '.') then
    sum = sum + value
  end
end
redis.call('HSET', KEYS[1], field, string.format('%.17g', math.max(known, sum)))
return 1
`)
