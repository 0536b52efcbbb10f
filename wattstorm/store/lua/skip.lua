-- A consumer that does not hold the log goes on behind what was trimmed before it came there.
-- KEYS: fence, poison, head, counters   ARGV: token, expected, the consumer's name
-- Returns {'ok', position of the fence now, entries lost}, {'owner', who} or {'moved', position}.
local fence = redis.call('HMGET', KEYS[1], 'owner', 'position')
if fence[1] ~= ARGV[1] then return {'owner', fence[1] or 'nobody'} end
local position = tonumber(fence[2] or 0)
if position ~= tonumber(ARGV[2]) then return {'moved', fence[2] or '0'} end
local head = redis.call('HMGET', KEYS[3], 'first', 'trimmed', 'done:' .. ARGV[3])
local lost = tonumber(head[1] or 1) - 1 - position
if lost <= 0 then return {'ok', position, 0} end
redis.call('HDEL', KEYS[1], '')  -- see acquire: full memory must not stop this
position = string.format('%.0f', position + lost)
redis.call('HSET', KEYS[1], 'position', position, 'takes', '0')
redis.call('HDEL', KEYS[1], 'trying', 'tries', 'trier', 'fault', 'replays')
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', position)
redis.call('HINCRBY', KEYS[4], 'lost_entries', string.format('%.0f', lost))
if head[3] and tonumber(head[3]) < tonumber(head[2]) then
  redis.call('HSET', KEYS[3], 'done:' .. ARGV[3], head[2])
end
return {'ok', tonumber(position), lost}
