-- Publish slots of one day and channel, forget that they are dirty, and enter what changed in the
-- log of slots: all or nothing. Below add_entry.lua and keep_within.lua.
-- KEYS: stamps, provisional, days, name of the last fold, closed sums of the day, log, its head and
--   backlog, P fences, P dirty sets, curves (one a label)
-- ARGV: P, S, stamp (u64 little endian a partition), lifetime in s (0: for ever), day, channel,
--   name of the last fold when the sums were read, bytes that stay in the log, P owners' tokens,
--   S slots, S states (f: final, p: provisional), S beginnings of entries, then for each label
--   ',"name":' as JSON has it and S values: '' none; […] a row; 0[…] a row of no readings, which
--   only takes the place of another one
-- Returns a string of S characters: 1 accepted, 0 refused; 'moved': the sums are of a history
-- that is no more, read again; or false: fewer partitions than before.
local P, S = tonumber(ARGV[1]), tonumber(ARGV[2])
local stamp, lifetime, day, channel = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local TOKENS, SLOTS, STATES, ENTRIES = 8, 8 + P, 8 + P + S, 8 + P + 2 * S
local LABELS = ENTRIES + S
local FENCES, DIRTY, CURVES = 8, 8 + P, 8 + 2 * P

local function at_partition(vector, p)
  return (struct.unpack('<I8', vector, 8 * p - 7))
end

-- Sums that were folded meanwhile may be in what was read twice, or not at all.
if (redis.call('GET', KEYS[4]) or '') ~= ARGV[7] then return 'moved' end
-- A fence with the owner that was read, and not below: what was read is in its history still.
local fences = {}
for p = 1, P do
  local fence = redis.call('HMGET', KEYS[FENCES + p], 'position', 'owner')
  fences[p] = tonumber(fence[1] or 0)
  if (fence[2] or '') ~= ARGV[TOKENS + p] or fences[p] < at_partition(stamp, p) then
    return 'moved'
  end
end
redis.call('HDEL', KEYS[1], '')  -- see acquire: full memory must not stop this

local function replaces(held)
  local newer, lost = true, false
  for p = 1, #held / 8 do
    local position = at_partition(held, p)
    if at_partition(stamp, p) < position then newer = false end
    if fences[p] < position then lost = true end  -- of a history that is no more
  end
  return newer or lost
end

local verdicts, accepted, members, stamps = {}, {}, {}, {}
for i = 1, S do
  local member = channel .. ':' .. ARGV[SLOTS + i]
  local held = redis.call('HGET', KEYS[1], member)
  -- A register that grew gains partitions; one that shrank is not this store's.
  if held and #held > #stamp then return false end
  verdicts[i] = '0'
  if not held or held == stamp or replaces(held) then
    verdicts[i] = '1'
    accepted[#accepted + 1] = i
    members[#members + 1] = member
    stamps[#stamps + 1] = member
    stamps[#stamps + 1] = stamp
  end
end
if #accepted == 0 then return table.concat(verdicts) end

local CHUNK = 1000  -- arguments of one call; Lua's stack ends near 8,000
local function in_chunks(list, call)
  for at = 1, #list, CHUNK do call(at, math.min(at + CHUNK - 1, #list)) end
end

local function expire(key)
  if lifetime > 0 then redis.call('EXPIRE', key, lifetime) else redis.call('PERSIST', key) end
end

local function put(key, pairs_)
  in_chunks(pairs_, function(at, upto) redis.call('HSET', key, unpack(pairs_, at, upto)) end)
  expire(key)
end

-- What a label's row of the slot is to be; '' for none.
local function row_of(label, i)
  local value = ARGV[LABELS + (S + 1) * (label - CURVES - 1) + 1 + i]
  if string.byte(value) ~= 48 then return value end
  return redis.call('HGET', KEYS[label], ARGV[SLOTS + i]) and string.sub(value, 2) or ''
end

-- A slot's entry has all of its rows, and its digest stands beside its stamp: a slot whose entry
-- would be what the last one was has none. Published twice, it stands once in the log.
local digests, entries, changed = {}, {}, {}
for n, member in ipairs(members) do digests[n] = 'd' .. member end
in_chunks(digests, function(at, upto)
  for k, held in ipairs(redis.call('HMGET', KEYS[1], unpack(digests, at, upto))) do
    local n, rows = at + k - 1, {}
    for label = CURVES + 1, #KEYS do
      local row = row_of(label, accepted[n])
      if row ~= '' then
        rows[#rows + 1], rows[#rows + 2] = ARGV[LABELS + (S + 1) * (label - CURVES - 1) + 1], row
      end
    end
    local entry = ARGV[ENTRIES + accepted[n]] .. string.sub(table.concat(rows), 2) .. '}}'
    local digest = string.sub(redis.sha1hex(entry), 1, 20)
    if #rows > 0 and digest ~= held then
      changed[#changed + 1], entries[#entries + 1] = accepted[n], entry
      stamps[#stamps + 1], stamps[#stamps + 2] = digests[n], digest
    end
  end
end)

for label = CURVES + 1, #KEYS do
  local rows = {}
  for _, i in ipairs(changed) do
    local row = row_of(label, i)
    if row ~= '' then rows[#rows + 1], rows[#rows + 2] = ARGV[SLOTS + i], row end
  end
  put(KEYS[label], rows)
end
for _, entry in ipairs(entries) do add_entry(KEYS[6], KEYS[7], KEYS[8], 'slot', entry) end
keep_within(KEYS[6], KEYS[7], KEYS[8], tonumber(ARGV[8]))
put(KEYS[1], stamps)
expire(KEYS[5])

-- What changed after it was read stays dirty.
for p = 1, P do
  local seen, gone = at_partition(stamp, p), {}
  in_chunks(members, function(at, upto)
    for i, score in ipairs(redis.call('ZMSCORE', KEYS[DIRTY + p], unpack(members, at, upto))) do
      if score and tonumber(score) <= seen then gone[#gone + 1] = members[at + i - 1] end
    end
  end)
  in_chunks(gone, function(at, upto) redis.call('ZREM', KEYS[DIRTY + p], unpack(gone, at, upto)) end)
end

for n, i in ipairs(accepted) do
  if ARGV[STATES + i] == 'f' then
    redis.call('ZREM', KEYS[2], members[n])
  else
    redis.call('ZADD', KEYS[2], ARGV[SLOTS + i], members[n])
  end
end
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
redis.call('ZADD', KEYS[3], lifetime > 0 and now + lifetime or '+inf', day)
return table.concat(verdicts)
