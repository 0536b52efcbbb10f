-- Sums that cannot change any more leave their partitions for one row a slot, all or nothing.
-- KEYS: name of the last fold, rows of the day, days, then of each partition fence and partials
-- ARGV: that name as it was when all was read, the next one, lifetime of the day in s (0: for
--   ever), day, R, R x (slot, row), then of each partition: owner's token, position, n, n slots
-- Returns 1, or 0 where anything of it is not as it was read.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
local lifetime, R = tonumber(ARGV[3]), tonumber(ARGV[5])
local CHUNK = 1000  -- arguments of one call; Lua's stack ends near 8,000

local first, at = 6 + 2 * R, 6 + 2 * R
for key = 4, #KEYS, 2 do
  -- The owner that was read, and not below: the same history, in which these slots are closed.
  local fence = redis.call('HMGET', KEYS[key], 'owner', 'position')
  if (fence[1] or '') ~= ARGV[at] or tonumber(fence[2] or 0) < tonumber(ARGV[at + 1]) then
    return 0
  end
  at = at + 3 + tonumber(ARGV[at + 2])
end
redis.call('HDEL', KEYS[2], '')  -- see acquire: full memory must not stop this

for from = 6, first - 1, CHUNK do
  redis.call('HSET', KEYS[2], unpack(ARGV, from, math.min(from + CHUNK, first) - 1))
end
at = first
for key = 4, #KEYS, 2 do
  local from, stop = at + 3, at + 3 + tonumber(ARGV[at + 2])
  for chunk = from, stop - 1, CHUNK do
    redis.call('HDEL', KEYS[key + 1], unpack(ARGV, chunk, math.min(chunk + CHUNK, stop) - 1))
  end
  at = stop
end
if lifetime > 0 then redis.call('EXPIRE', KEYS[2], lifetime) else redis.call('PERSIST', KEYS[2]) end
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[3], lifetime > 0 and now + lifetime or '+inf', ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
return 1
