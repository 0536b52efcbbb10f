-- Dead letters, bounded in number and bytes: the newest stay, what does not is counted.
-- A commit passes Redis's memory limit, so nothing but this keeps refused blocks from filling it.
-- account: a hash with bytes (held), dropped, dropped_readings and dropped_bytes.
local LETTER_BYTES = 200  -- what Redis takes for one beside its payload, roughly

local function letter_bytes(data, what) return #data + #what + LETTER_BYTES end

-- n letters (reason, position, count, bytes, what) stand in ARGV from `from` on.
local function set_aside(dead, account, keep, bound, from, n)
  local left = redis.call('XLEN', dead)
  local held = tonumber(redis.call('HGET', account, 'bytes') or (left == 0 and 0 or -1))
  if held < 0 then  -- written before there was an account
    held = 0
    for _, letter in ipairs(redis.call('XRANGE', dead, '-', '+')) do
      held = held + letter_bytes(letter[2][8], letter[2][10])
    end
  end
  local dropped, readings, bytes = 0, 0, 0
  local function drop(count, size)
    dropped, readings, bytes = dropped + 1, readings + count, bytes + size
  end
  -- Which of the new ones fit beside each other, from the newest back; one
  -- above the bound is no reason to drop those before it.
  local fits, room, number, full = {}, bound, keep, false
  for i = n - 1, 0, -1 do
    local a = from + 5 * i
    local size = letter_bytes(ARGV[a + 3], ARGV[a + 4])
    full = full or number == 0 or (size > room and size <= bound)
    if full or size > bound then
      drop(tonumber(ARGV[a + 2]), size)
    else
      fits[#fits + 1] = a
      room, number = room - size, number - 1
    end
  end
  local coming = bound - room
  while left > 0 and (held + coming > bound or left + #fits > keep) do
    local oldest = redis.call('XRANGE', dead, '-', '+', 'COUNT', 1)[1]
    local size = letter_bytes(oldest[2][8], oldest[2][10])
    drop(tonumber(oldest[2][6]), size)
    held, left = math.max(0, held - size), left - 1
    redis.call('XTRIM', dead, 'MAXLEN', left)
  end
  for j = #fits, 1, -1 do
    local a = fits[j]
    redis.call('XADD', dead, '*', 'reason', ARGV[a], 'position', ARGV[a + 1],
      'count', ARGV[a + 2], 'b', ARGV[a + 3], 'what', ARGV[a + 4])
  end
  redis.call('HSET', account, 'bytes', string.format('%.0f', held + coming))
  if dropped > 0 then
    redis.call('HINCRBY', account, 'dropped', dropped)
    redis.call('HINCRBY', account, 'dropped_readings', readings)
    redis.call('HINCRBY', account, 'dropped_bytes', string.format('%.0f', bytes))
  end
end
