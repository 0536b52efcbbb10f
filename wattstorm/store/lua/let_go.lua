-- A consumer holds a log no more: it is trimmed without it from the next trim on, and producers
-- do not wait for it. Below holders.lua.
-- KEYS: head, backlog   ARGV: the consumer's name   Returns 1, or 0 if it did not hold it.
local names = holders_of(KEYS[1])
if not holds(names, ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'holders', table.concat(without(KEYS[1], names, ARGV[1]), ' '))
count_committed(KEYS[1], KEYS[2], names)
return 1
