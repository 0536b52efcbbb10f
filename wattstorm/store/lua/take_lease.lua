-- Takes or renews the lease of a topology, unless somebody else's is there.
-- KEYS: lease. ARGV: token, card (JSON with the token), lifetime ms, a card that may be replaced.
-- Answers nil if it is ours now, else the holder's card.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[4] and cjson.decode(held).token ~= ARGV[1] then
  -- A store's clock that is set back prolongs a lease: nobody's has more than a whole life left.
  local left = redis.call('PTTL', KEYS[1])
  if left > tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
  return held
end
-- A write that full memory does not refuse lets the one behind it pass.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
