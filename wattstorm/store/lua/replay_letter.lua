-- Send a dead letter to its log again, once: it leaves where it was set aside in the same step.
-- Below add_entry.lua and set_aside.lua.
-- KEYS: log, head, backlog, dead letters, their account   ARGV: the letter's id
-- Returns its position in the log, 0 if it is there no more.
local letter = redis.call('XRANGE', KEYS[4], ARGV[1], ARGV[1])[1]
if not letter then return 0 end
local position = add_entry(KEYS[1], KEYS[2], KEYS[3], '', letter[2][8])
redis.call('XDEL', KEYS[4], ARGV[1])
local held = tonumber(redis.call('HGET', KEYS[5], 'bytes') or 0)
held = math.max(0, held - letter_bytes(letter[2][8], letter[2][10]))
redis.call('HSET', KEYS[5], 'bytes', string.format('%.0f', held))
return position
