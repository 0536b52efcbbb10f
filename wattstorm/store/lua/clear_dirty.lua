-- Forget that slots are dirty, unless they changed after what was published.
-- KEYS: dirty   ARGV: the fence that was seen, slots   Returns how many were cleared.
local seen, cleared = tonumber(ARGV[1]), 0
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= seen then
    cleared = cleared + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return cleared
