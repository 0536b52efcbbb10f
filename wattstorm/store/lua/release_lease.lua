-- Ends a lease, if it is ours. KEYS: lease. ARGV: token.
local held = redis.call('GET', KEYS[1])
if held and cjson.decode(held).token == ARGV[1] then redis.call('DEL', KEYS[1]) end
