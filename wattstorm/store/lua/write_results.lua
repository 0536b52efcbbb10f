-- Publish slots of one day and channel, each only if its stamp is not older than the one held.
-- KEYS: stamps, curves (one a label)
-- ARGV: stamp (u64 little endian a partition), lifetime in s (0: for ever), channel, S,
--   S slots, then for each label S values ('': none)
-- Returns a string of S characters: 1 accepted, 0 refused; or false: fewer partitions than before.
local stamp, lifetime, channel, S = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
redis.call('HDEL', KEYS[1], '')  -- see acquire: full memory must not stop this

local function newer(held)
  for at = 1, #held, 8 do
    local mine, its = struct.unpack('<I8', stamp, at), struct.unpack('<I8', held, at)
    if mine < its then return false end
  end
  return true
end

local verdicts, accepted = {}, {}
for i = 1, S do
  local held = redis.call('HGET', KEYS[1], channel .. ':' .. ARGV[4 + i])
  -- A register that grew gains partitions; one that shrank is not this store's.
  if held and #held > #stamp then return false end
  if not held or held == stamp or newer(held) then
    accepted[#accepted + 1] = i
    verdicts[i] = '1'
  else
    verdicts[i] = '0'
  end
end
if #accepted == 0 then return table.concat(verdicts) end

local function put(key, pairs_)
  for at = 1, #pairs_, 1000 do
    redis.call('HSET', key, unpack(pairs_, at, math.min(at + 999, #pairs_)))
  end
  if #pairs_ > 0 and lifetime > 0 then redis.call('EXPIRE', key, lifetime) end
end

for label = 2, #KEYS do
  local rows, base = {}, 4 + S * (label - 1)
  for _, i in ipairs(accepted) do
    if ARGV[base + i] ~= '' then
      rows[#rows + 1] = ARGV[4 + i]
      rows[#rows + 1] = ARGV[base + i]
    end
  end
  put(KEYS[label], rows)
end
local stamps = {}
for _, i in ipairs(accepted) do
  stamps[#stamps + 1] = channel .. ':' .. ARGV[4 + i]
  stamps[#stamps + 1] = stamp
end
put(KEYS[1], stamps)
return table.concat(verdicts)
