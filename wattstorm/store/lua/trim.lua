-- A consumer needs no entry up to a position any more: remove those that nobody needs.
-- Below holders.lua.
-- KEYS: fence, head, log, poison, backlog, snapshots
-- ARGV: token, position, nonce of the snapshot that reflects it ('': not asked), consumer's name,
--   the consumer without which nothing is trimmed ('': none)
-- Returns {'ok', first position left}, {'owner', who} or {'moved', fence}.
local fence = redis.call('HMGET', KEYS[1], 'owner', 'position')
if fence[1] ~= ARGV[1] then return {'owner', fence[1] or 'nobody'} end
local position, name = tonumber(ARGV[2]), ARGV[4]
if position > tonumber(fence[2] or 0) then return {'moved', fence[2] or '0'} end
-- A store that went back may have forgotten it: then there would be nothing to start from.
if ARGV[3] ~= '' and not redis.call('ZSCORE', KEYS[6], ARGV[3]) then
  return {'moved', fence[2] or '0'}
end
redis.call('HDEL', KEYS[1], '')  -- see acquire: only a trim makes room
local first = math.max(1, number_in(KEYS[2], 'first'))
local names = holders_of(KEYS[2])
if holds(names, name) and position > number_in(KEYS[2], 'hold:' .. name) then
  redis.call('HSET', KEYS[2], 'hold:' .. name, ARGV[2], 'from:' .. name,
    string.format('%.0f', bytes_up_to(KEYS[3], KEYS[2], position)))
end
-- One that reads all of the log from its beginning, and has not begun yet, needs all of it.
if ARGV[5] ~= '' and ARGV[5] ~= name and not holds(names, ARGV[5]) then return {'ok', first} end
-- The log is trimmed behind the one that needs most of it, but for those that need too much.
local appended, least = number_in(KEYS[2], 'appended'), nil
for _, each in ipairs(names) do
  local bound = number_in(KEYS[2], 'bound:' .. each)
  local hold = number_in(KEYS[2], 'hold:' .. each)
  if bound < 0 or appended - number_in(KEYS[2], 'from:' .. each) <= bound then
    if not least or hold < least then least = hold end
  end
end
least = least or position
if least < first then return {'ok', first} end
local last = redis.call('XREVRANGE', KEYS[3], string.format('%.0f-0', least), '-', 'COUNT', 1)[1]
if not last then return {'ok', first} end
local trimmed = number_in(KEYS[2], 'trimmed')
first = string.format('%.0f', least + 1)
redis.call('XTRIM', KEYS[3], 'MINID', first .. '-0')
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('%.0f', least))
-- Every entry says how many bytes were appended up to and with it.
redis.call('HSET', KEYS[2], 'first', first, 'trimmed', last[2][6])
redis.call('HINCRBY', KEYS[5], 'kept', string.format('%.0f', trimmed - tonumber(last[2][6])))
return {'ok', tonumber(first)}
