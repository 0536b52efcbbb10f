-- A task is about to try the block after the fence alone: counted before, so that a death counts.
-- KEYS: fence   ARGV: token, position, how often it may be tried
-- Returns {'try', tries with this one}, {'poison', tries}, {'owner', who} or {'moved', fence}.
-- One owner's tries are one: what it asks again, it does because the store failed it.
local fence = redis.call('HMGET', KEYS[1], 'owner', 'position', 'trying', 'tries', 'trier')
if fence[1] ~= ARGV[1] then return {'owner', fence[1] or 'nobody'} end
if tonumber(fence[2] or 0) ~= tonumber(ARGV[2]) - 1 then return {'moved', fence[2] or '0'} end
redis.call('HDEL', KEYS[1], '')  -- see acquire: full memory must not stop this
local tries = fence[3] == ARGV[2] and tonumber(fence[4] or 0) or 0
if tries > 0 and fence[5] == ARGV[1] then return {'try', tries} end
if tries >= tonumber(ARGV[3]) then return {'poison', tries} end
redis.call('HSET', KEYS[1], 'trying', ARGV[2], 'tries', tries + 1, 'trier', ARGV[1])
return {'try', tries + 1}
