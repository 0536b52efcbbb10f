-- One batch of a consumer: what it changes and its fence, all or nothing.
-- Below set_aside.lua, add_entry.lua, keep_within.lua and holders.lua.
-- KEYS: fence, poison, log, head, backlog, then those that the effects name
-- ARGV: token, expected, position, bytes, position that is poison (or 0), chain of the last entry
--   read ('-': not asked), the consumer's name, then effects, each: name, n, which of KEYS is its first, and
--   sums    n x (field, value)     a hash, and the sorted set behind it: field with the position
--   dead    'number bytes' to keep, n x (reason, position, count, bytes, what)
--           a stream, and the hash behind it: its account
--   count   lifetime in s or 0, n x (counter, n)                                     a hash
--   set     n x (field, value)     a hash        remove  n x field                   a hash
--   rank    n x (score, member)    a sorted set  rise    n x (field, number)         a hash
--   expire  s from now on         any key
--   append  bytes that the log may hold or 0, n x (kind, data)
--           the log of another name, and its head and backlog behind it
-- Returns {'ok'}, {'owner', who}, {'moved', position} or {'lost', position}.
-- Checks first, writes after.
local fence = redis.call('HMGET', KEYS[1], 'owner', 'position')
if fence[1] ~= ARGV[1] then return {'owner', fence[1] or 'nobody'} end
if tonumber(fence[2] or 0) ~= tonumber(ARGV[2]) then return {'moved', fence[2] or '0'} end
-- What was read must still stand in the log: a store that went back between the reading and
-- this commit gives these positions to other blocks.
if ARGV[6] ~= '-' then
  local id = ARGV[3] .. '-0'
  local entry = redis.call('XRANGE', KEYS[3], id, id)[1]
  if not entry or (entry[2][8] or '') ~= ARGV[6] then return {'lost', ARGV[3]} end
end
redis.call('HDEL', KEYS[1], '')  -- see acquire: full memory must not stop a commit

local CHUNK = 1000  -- arguments of one call; Lua's stack ends near 8,000
local position = ARGV[3]

-- One command for `each` arguments times n from `at` on, in chunks.
local function in_chunks(command, key, at, stop)
  for from = at, stop - 1, CHUNK do
    redis.call(command, key, unpack(ARGV, from, math.min(from + CHUNK, stop) - 1))
  end
  return stop
end

local effects = {}

function effects.sums(key, at, n)
  local stop = at + 2 * n
  for from = at, stop - 1, CHUNK do
    local scores, upto = {}, math.min(from + CHUNK, stop) - 1
    for i = from, upto, 2 do
      scores[#scores + 1] = position
      scores[#scores + 1] = ARGV[i]
    end
    redis.call('ZADD', KEYS[key + 1], unpack(scores))
  end
  return in_chunks('HSET', KEYS[key], at, stop)
end

function effects.dead(key, at, n)
  local keep, bound = string.match(ARGV[at], '^(%d+) (%d+)$')
  set_aside(KEYS[key], KEYS[key + 1], tonumber(keep), tonumber(bound), at + 1, n)
  return at + 1 + 5 * n
end

function effects.count(key, at, n)
  for i = at + 1, at + 2 * n, 2 do redis.call('HINCRBY', KEYS[key], ARGV[i], ARGV[i + 1]) end
  if tonumber(ARGV[at]) > 0 then redis.call('EXPIRE', KEYS[key], ARGV[at]) end
  return at + 1 + 2 * n
end

function effects.set(key, at, n) return in_chunks('HSET', KEYS[key], at, at + 2 * n) end

function effects.remove(key, at, n) return in_chunks('HDEL', KEYS[key], at, at + n) end

function effects.expire(key, at)
  redis.call('EXPIRE', KEYS[key], ARGV[at])
  return at + 1
end

function effects.rank(key, at, n) return in_chunks('ZADD', KEYS[key], at, at + 2 * n) end

function effects.rise(key, at, n)
  for i = at, at + 2 * n - 1, 2 do
    local held = tonumber(redis.call('HGET', KEYS[key], ARGV[i]) or -1)
    if tonumber(ARGV[i + 1]) > held then redis.call('HSET', KEYS[key], ARGV[i], ARGV[i + 1]) end
  end
  return at + 2 * n
end

function effects.append(key, at, n)
  for i = at + 1, at + 2 * n, 2 do
    add_entry(KEYS[key], KEYS[key + 1], KEYS[key + 2], ARGV[i], ARGV[i + 1])
  end
  local bound = tonumber(ARGV[at])
  if bound > 0 then keep_within(KEYS[key], KEYS[key + 1], KEYS[key + 2], bound) end
  return at + 1 + 2 * n
end

local at = 8
while at <= #ARGV do
  at = effects[ARGV[at]](tonumber(ARGV[at + 2]), at + 3, tonumber(ARGV[at + 1]))
end

redis.call('HSET', KEYS[1], 'position', position, 'takes', '0')
redis.call('HDEL', KEYS[1], 'trying', 'tries', 'trier', 'fault', 'replays')
-- Whoever brings the state up to the fence out of the log must not try it again.
if ARGV[5] ~= '0' then redis.call('ZADD', KEYS[2], ARGV[5], ARGV[5]) end
local names = holders_of(KEYS[4])
if holds(names, ARGV[7]) then
  redis.call('HINCRBY', KEYS[4], 'done:' .. ARGV[7], ARGV[4])
  count_committed(KEYS[4], KEYS[5], names)
end
return {'ok'}
