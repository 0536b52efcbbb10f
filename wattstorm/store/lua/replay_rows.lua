-- Send refused rows to a log after all, as one block, once: they leave where they were set aside.
-- Below add_entry.lua.
-- KEYS: log, head, backlog, refused rows, how many were sent again
-- ARGV: block, the rows' ids
-- Returns its position in the log, 0 if one of them is there no more: nothing was done.
for i = 2, #ARGV do
  if not redis.call('XRANGE', KEYS[4], ARGV[i], ARGV[i])[1] then return 0 end
end
local position = add_entry(KEYS[1], KEYS[2], KEYS[3], '', ARGV[1])
for i = 2, #ARGV do redis.call('XDEL', KEYS[4], ARGV[i]) end
redis.call('INCRBY', KEYS[5], #ARGV - 1)
return position
