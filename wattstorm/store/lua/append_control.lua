-- Append a control entry to a partition's log, once.
-- Below add_entry.lua.
-- KEYS: log, head, backlog   ARGV: kind, what it says, what was said last ('-': not asked)
-- Returns {'new', position}, {'double', what is said} or {'moved', what is said}.
-- The head keeps what was said last of each kind: whoever repeats it appends nothing, and whoever
-- decided by something older is told so.
local field = 'kind:' .. ARGV[1]
local held = redis.call('HGET', KEYS[2], field) or ''
if held == ARGV[2] then return {'double', held} end
if ARGV[3] ~= '-' and held ~= ARGV[3] then return {'moved', held} end
local position = add_entry(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], field, ARGV[2], field .. ':at', position)
return {'new', position}
