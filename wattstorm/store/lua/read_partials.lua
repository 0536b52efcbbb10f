-- Sums and the fence they belong to, seen in one moment.
-- KEYS: fence, partials   ARGV: slots   Returns {position, sums or false, ...}
local answer = {tonumber(redis.call('HGET', KEYS[1], 'position') or 0)}
for at = 1, #ARGV, 1000 do
  local upto = math.min(at + 999, #ARGV)
  local sums = redis.call('HMGET', KEYS[2], unpack(ARGV, at, upto))
  for i = 1, upto - at + 1 do answer[at + i] = sums[i] end
end
return answer
