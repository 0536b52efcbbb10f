-- A task takes a partition: the epoch rises, every older token is worth nothing from here on.
-- Below holders.lua.
-- KEYS: fence, poison, snapshots, births, log, head, backlog
-- ARGV: birth of the task (see birth), nonce, the consumer's name, how it holds the log (see
--   holders; 0: not), then pairs (scalar, value) that a fence gets once: what is in force from
--   the first entry on
-- Returns {1, token, the fence (name, value, …), positions passed unapplied, snapshots known
-- (nonce, position, …), position up to which it needs no entry} or {0, owner}.
-- takes counts how often this was done since the fence last moved: whoever dies over a block
-- leaves it higher. The lineage is the first owner's nonce: no other store has it.
-- HDEL first: a write that full memory does not refuse lets those behind it pass, and only a
-- stream that runs on can make room.
redis.call('HDEL', KEYS[1], '')
local fence = redis.call('HMGET', KEYS[1], 'position', 'owner', 'birth', 'lineage')
if fence[3] and tonumber(fence[3]) > tonumber(ARGV[1]) then return {0, fence[2]} end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
local token = string.format('%.0f', epoch) .. ':' .. ARGV[2]
redis.call('HSET', KEYS[1], 'owner', token, 'birth', ARGV[1], 'lineage', fence[4] or ARGV[2],
  'position', fence[1] or '0')
redis.call('HINCRBY', KEYS[1], 'takes', 1)
for i = 5, #ARGV, 2 do
  if not redis.call('HGET', KEYS[1], ARGV[i]) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
-- A store that went back may meet a task of its future: who is born from now on is younger.
if tonumber(redis.call('GET', KEYS[4]) or 0) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[4], ARGV[1])
end

local name, names = ARGV[3], holders_of(KEYS[6])
local function own(field) return field .. ':' .. name end
if ARGV[4] ~= '0' and not holds(names, name) then
  -- What is trimmed is nobody's any more; of the rest it has passed what its fence says.
  local passed = bytes_up_to(KEYS[5], KEYS[6], tonumber(fence[1] or 0))
  redis.call('HSET', KEYS[6], own('done'), string.format('%.0f', passed),
    own('hold'), string.format('%.0f', math.max(1, number_in(KEYS[6], 'first')) - 1),
    own('from'), string.format('%.0f', number_in(KEYS[6], 'trimmed')))
  names[#names + 1] = name
elseif ARGV[4] == '0' and holds(names, name) then
  without(KEYS[6], names, name)
end
redis.call('HSET', KEYS[6], 'holders', table.concat(names, ' '))
if ARGV[4] ~= '0' then redis.call('HSET', KEYS[6], own('bound'), ARGV[4]) end
count_committed(KEYS[6], KEYS[7], names)

return {1, token, redis.call('HGETALL', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, -1),
  redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES'),
  redis.call('HGET', KEYS[6], own('hold')) or '0'}
