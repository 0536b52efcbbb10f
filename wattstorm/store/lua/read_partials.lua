-- Sums and the fence they belong to, seen in one moment.
-- KEYS: fence, partials, name of the last fold   ARGV: slots
-- Returns {{name, value, ... of the fence}, name of the last fold or '', sums or false, ...}.
local answer = {redis.call('HGETALL', KEYS[1]), redis.call('GET', KEYS[3]) or ''}
for at = 1, #ARGV, 1000 do
  local upto = math.min(at + 999, #ARGV)
  local sums = redis.call('HMGET', KEYS[2], unpack(ARGV, at, upto))
  for i = 1, upto - at + 1 do answer[1 + at + i] = sums[i] end
end
return answer
