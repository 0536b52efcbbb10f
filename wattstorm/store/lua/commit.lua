-- One batch: sums, dirty slots, counters, dead letters and the fence, all or nothing.
-- Below set_aside.lua.
-- KEYS: fence, partials, dirty, audit, head, dead, poison, log, account of the dead letters,
--   one hash of counters a group, then backlog
-- ARGV: token, expected, position, bytes, highest, dead letters kept 'number bytes', P, D, G,
--   position that is poison (or 0), chain of the last entry read ('-': not asked),
--   'channel slot …': first slot that is still taken, then
--   P x (slot, sums), D x (reason, position, count, bytes, what),
--   (G + 1) x (lifetime in s or 0, n, n x (counter, n)): the first group is KEYS[4],
--   group i > 1 is KEYS[8 + i].
-- Returns {'ok'}, {'owner', who}, {'moved', position} or {'lost', position}.
-- Checks first, writes after.
local fence = redis.call('HMGET', KEYS[1], 'owner', 'position', 'highest')
if fence[1] ~= ARGV[1] then return {'owner', fence[1] or 'nobody'} end
if tonumber(fence[2] or 0) ~= tonumber(ARGV[2]) then return {'moved', fence[2] or '0'} end
-- What was read must still stand in the log: a store that went back between the reading and
-- this commit gives these positions to other blocks.
if ARGV[11] ~= '-' then
  local id = ARGV[3] .. '-0'
  local entry = redis.call('XRANGE', KEYS[8], id, id)[1]
  if not entry or (entry[2][8] or '') ~= ARGV[11] then return {'lost', ARGV[3]} end
end
redis.call('HDEL', KEYS[1], '')  -- see acquire: full memory must not stop a commit

local CHUNK = 1000  -- arguments of one call; Lua's stack ends near 8,000
local position = ARGV[3]
local at, P, D, G = 13, tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local stop = at + 2 * P
while at < stop do
  local upto = math.min(at + CHUNK, stop) - 1
  redis.call('HSET', KEYS[2], unpack(ARGV, at, upto))
  local scores = {}
  for i = at, upto, 2 do
    scores[#scores + 1] = position
    scores[#scores + 1] = ARGV[i]
  end
  redis.call('ZADD', KEYS[3], unpack(scores))
  at = upto + 1
end

if D > 0 then
  local keep, bound = string.match(ARGV[6], '^(%d+) (%d+)$')
  set_aside(KEYS[6], KEYS[9], tonumber(keep), tonumber(bound), at, D)
  redis.call('HINCRBY', KEYS[4], 'dead', D)
  at = at + 5 * D
end

for group = 0, G do
  local key = group == 0 and KEYS[4] or KEYS[9 + group]
  local lifetime, n = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, n do
    redis.call('HINCRBY', key, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  if lifetime > 0 then redis.call('EXPIRE', key, lifetime) end
end

local highest = tonumber(fence[3] or -1)
if tonumber(ARGV[5]) > highest then redis.call('HSET', KEYS[1], 'highest', ARGV[5]) end
-- A task without memory begins with no window: what was closed stays closed.
for channel, low in string.gmatch(ARGV[12], '(%d+) (%d+)') do
  local held = tonumber(redis.call('HGET', KEYS[1], 'low:' .. channel) or -1)
  if tonumber(low) > held then redis.call('HSET', KEYS[1], 'low:' .. channel, low) end
end
redis.call('HSET', KEYS[1], 'position', position, 'takes', '0')
redis.call('HDEL', KEYS[1], 'trying', 'tries', 'trier', 'fault', 'replays')
-- Whoever brings the state up to the fence out of the log must not try it again.
if ARGV[10] ~= '0' then redis.call('ZADD', KEYS[7], ARGV[10], ARGV[10]) end
redis.call('HINCRBY', KEYS[5], 'committed', ARGV[4])
redis.call('HINCRBY', KEYS[#KEYS], 'waiting', 0 - ARGV[4])
return {'ok'}
