-- Sums and the fence they belong to, seen in one moment.
-- KEYS: fence, partials   ARGV: slots
-- Returns {position, the owner's token or '', newest slot accepted, sums or false, ...}.
local fence = redis.call('HMGET', KEYS[1], 'position', 'owner', 'highest')
local answer = {tonumber(fence[1] or 0), fence[2] or '', tonumber(fence[3] or -1)}
for at = 1, #ARGV, 1000 do
  local upto = math.min(at + 999, #ARGV)
  local sums = redis.call('HMGET', KEYS[2], unpack(ARGV, at, upto))
  for i = 1, upto - at + 1 do answer[2 + at + i] = sums[i] end
end
return answer
