-- A partition stands still for a reason that is not its next block's: keep the reason where
-- whoever looks finds it, and forget the try that was counted for the block.
-- KEYS: fence   ARGV: the owner's token ('': none is known yet), what stops it
-- The commit that gets past it removes the reason. Returns 1, or 0: the partition is another's.
redis.call('HDEL', KEYS[1], '')  -- see acquire: full memory must not stop this
local owner = redis.call('HGET', KEYS[1], 'owner')
if ARGV[1] ~= '' then
  if owner ~= ARGV[1] then return 0 end
  redis.call('HDEL', KEYS[1], 'trying', 'tries', 'trier')
end
redis.call('HSET', KEYS[1], 'fault', ARGV[2])
return 1
