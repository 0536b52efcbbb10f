-- A process takes a producer's name: older ones are told so at their next append.
-- KEYS: producer   ARGV: session, lifetime in s, last number to set ('' : as it is)
-- Returns {1 or 0 (a newer process has it), last number, session of who had it before, or has it}.
local digits, session = '0', ''
local stored = redis.call('GET', KEYS[1])
if stored then digits, session = string.match(stored, '^(%d+) ?(.*)$') end
if ARGV[1] < session then return {0, tonumber(digits), session} end
redis.call('EXPIRE', KEYS[1], ARGV[2])  -- see acquire: a producer may claim with memory full
if ARGV[3] ~= '' then digits = ARGV[3] end
redis.call('SET', KEYS[1], digits .. ' ' .. ARGV[1], 'EX', ARGV[2])
return {1, tonumber(digits), session}
