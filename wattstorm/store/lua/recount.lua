-- What waits and what is kept in all partitions together, counted anew from their heads.
-- KEYS: backlog, then each partition's head
-- Returns {bytes waiting, bytes kept}.
local waiting, kept = 0, 0
for i = 2, #KEYS do
  local head = redis.call('HMGET', KEYS[i], 'appended', 'committed', 'trimmed')
  waiting = waiting + (head[1] or 0) - (head[2] or 0)
  kept = kept + (head[1] or 0) - (head[3] or 0)
end
redis.call('HSET', KEYS[1], 'waiting', string.format('%.0f', waiting),
  'kept', string.format('%.0f', kept))
return {waiting, kept}
