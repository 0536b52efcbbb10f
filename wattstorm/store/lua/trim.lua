-- Remove the entries up to a position, never one beyond the fence.
-- KEYS: fence, head, log, poison, backlog, snapshots
-- ARGV: token, position, nonce of the snapshot that reflects it ('': not asked)
-- Returns {'ok', first position left}, {'owner', who} or {'moved', fence}.
local fence = redis.call('HMGET', KEYS[1], 'owner', 'position')
if fence[1] ~= ARGV[1] then return {'owner', fence[1] or 'nobody'} end
local position = tonumber(ARGV[2])
if position > tonumber(fence[2] or 0) then return {'moved', fence[2] or '0'} end
-- A store that went back may have forgotten it: then there would be nothing to start from.
if ARGV[3] ~= '' and not redis.call('ZSCORE', KEYS[6], ARGV[3]) then
  return {'moved', fence[2] or '0'}
end
local head = redis.call('HMGET', KEYS[2], 'first', 'trimmed')
local first = tonumber(head[1] or 1)
if position < first then return {'ok', first} end
local last = redis.call('XREVRANGE', KEYS[3], ARGV[2] .. '-0', '-', 'COUNT', 1)[1]
if not last then return {'ok', first} end
first = string.format('%.0f', position + 1)
redis.call('XTRIM', KEYS[3], 'MINID', first .. '-0')
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[2])
-- Every entry says how many bytes were appended up to and with it.
redis.call('HSET', KEYS[2], 'first', first, 'trimmed', last[2][6])
redis.call('HINCRBY', KEYS[5], 'kept', tonumber(head[2] or 0) - tonumber(last[2][6]))
return {'ok', tonumber(first)}
