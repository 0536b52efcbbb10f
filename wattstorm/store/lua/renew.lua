-- An owner gets a new token in the place of its own.
-- KEYS: fence   ARGV: token, nonce   Returns {1, new token} or {0, owner}.
local fence = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'trier')
if fence[1] ~= ARGV[1] then return {0, fence[1] or 'nobody'} end
redis.call('HDEL', KEYS[1], '')  -- see acquire
local token = fence[2] .. ':' .. ARGV[2]
redis.call('HSET', KEYS[1], 'owner', token)
-- It is the same task: what it tries again stays one try.
if fence[3] == ARGV[1] then redis.call('HSET', KEYS[1], 'trier', token) end
return {1, token}
