-- Replace fields of the store's card, unless it is a newer register version's.
-- KEYS: card   ARGV: field, value, …   Returns 1, or 0 if it was left as it is.
-- Whoever says an older version was slow: with its card, whoever starts next would know of fewer
-- partitions than the log has.
local held = tonumber(redis.call('HGET', KEYS[1], 'register') or 0)
for i = 1, #ARGV, 2 do
  if ARGV[i] == 'register' and tonumber(ARGV[i + 1]) < held then return 0 end
end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
