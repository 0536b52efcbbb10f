-- Append one block to a partition's log, once. Below add_entry.lua.
-- KEYS: log, head, producer, backlog
-- ARGV: number, block, readings, bytes that all partitions may share (0: no bound), bytes that
--   each has for itself, shed (0 or 1), session, lifetime in s
-- Returns {status, position, the producer's last number}.
-- Only effects are replicated (Redis 5 and later), so TIME may be read before a write.
local last, session = 0, ''
local stored = redis.call('GET', KEYS[3])
if stored then
  local digits
  digits, session = string.match(stored, '^(%d+) ?(.*)$')
  last = tonumber(digits)
end
-- Sessions begin with the store's clock at a fixed width: a smaller one is an older process.
local number = tonumber(ARGV[1])
if ARGV[7] ~= '' then
  if ARGV[7] < session then return {'taken', 0, last} end
  -- It claimed the name in another store, where the address led meanwhile, and counted its blocks
  -- there; or this one has lost the claim. What its numbers are worth here it must ask.
  if ARGV[7] > session then return {'unclaimed', 0, last} end
end
if number <= last then return {'double', 0, last} end
if number > last + 1 then return {'gap', 0, last} end

local head = redis.call('HMGET', KEYS[2], 'appended', 'committed', 'trimmed')
local appended = tonumber(head[1] or 0)
local size, pool, own = #ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local waiting, kept = appended - tonumber(head[2] or 0), appended - tonumber(head[3] or 0)
local mark = ARGV[1] .. ' ' .. session
-- A partition takes what it needs as long as there is room in what all of them share; beyond
-- that, up to what each has for itself, so that none starves.
-- What waits for nobody is always taken, or a block above the bound would wait for ever.
-- And three of a size are always kept: the log is trimmed behind the older of two snapshots,
-- which need two blocks between them and one that follows.
local all = redis.call('HMGET', KEYS[4], 'waiting', 'kept')
if pool > 0 and ((waiting > 0 and waiting + size > own and (all[1] or 0) + size > pool)
    or (kept > 2 * size and kept + size > 4 * own and (all[2] or 0) + size > 4 * pool)) then
  if ARGV[6] ~= '1' then return {'full', 0, last} end
  -- Shed: the number is used up, so that those behind it are no gap.
  redis.call('SET', KEYS[3], mark, 'EX', ARGV[8])
  redis.call('HINCRBY', KEYS[2], 'shed_blocks', 1)
  redis.call('HINCRBY', KEYS[2], 'shed_readings', ARGV[3])
  return {'shed', 0, number}
end
local position = add_entry(KEYS[1], KEYS[2], KEYS[4], '', ARGV[2])
redis.call('SET', KEYS[3], mark, 'EX', ARGV[8])
return {'new', position, number}
