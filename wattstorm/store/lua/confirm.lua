-- A snapshot that is on disk is to get its name: from here on the store knows it, and nobody
-- starts from one that the store does not know. So what a store that went back has lost, and
-- what belongs to another history, is never taken for its own.
-- KEYS: fence, snapshots   ARGV: token, position, nonce of the snapshot, nonces of those that stay
-- Returns {'ok'}, {'owner', who} or {'moved', fence}.
local fence = redis.call('HMGET', KEYS[1], 'owner', 'position')
if fence[1] ~= ARGV[1] then return {'owner', fence[1] or 'nobody'} end
if tonumber(fence[2] or 0) < tonumber(ARGV[2]) then return {'moved', fence[2] or '0'} end
-- And what is to stay must be known: a store that went back may have forgotten it.
for i = 4, #ARGV do
  if not redis.call('ZSCORE', KEYS[2], ARGV[i]) then return {'moved', fence[2] or '0'} end
end
redis.call('HDEL', KEYS[1], '')  -- see acquire: only behind a snapshot is room made
local stays = {}
for i = 4, #ARGV do stays[ARGV[i]] = true end
for _, nonce in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if not stays[nonce] then redis.call('ZREM', KEYS[2], nonce) end
end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
return {'ok'}
