-- Bringing a task's memory to the fence failed over an entry: count it, until the fence moves.
-- KEYS: fence   ARGV: token   Returns {'ok', how often} or {'owner', who}.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner ~= ARGV[1] then return {'owner', owner or 'nobody'} end
redis.call('HDEL', KEYS[1], '')  -- see acquire: full memory must not stop this
return {'ok', redis.call('HINCRBY', KEYS[1], 'replays', 1)}
