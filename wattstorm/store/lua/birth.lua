-- When a task is born, in µs: the store's clock, but always later than the last one that was
-- given out. So a clock that was ahead and is set right locks nobody out.
-- KEYS: births   Returns it as text.
local time = redis.call('TIME')
local now, last = time[1] * 1000000 + time[2], tonumber(redis.call('GET', KEYS[1]) or 0)
local birth = string.format('%.0f', math.max(now, last + 1))
redis.call('EXPIRE', KEYS[1], 60)  -- see acquire: a task may be born with memory full
redis.call('SET', KEYS[1], birth)
return birth
