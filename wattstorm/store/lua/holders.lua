-- The consumers that hold a log. Its head knows of each
--   bound:NAME  -1: the log is kept, and producers wait, for as long as it needs; n > 0: the log
--               is kept for it as long as that is n bytes at most, and producers never wait
--   done:NAME   bytes of the entries that it has passed
--   hold:NAME   position up to which it needs no entry any more
--   from:NAME   bytes of the entries up to there
-- and their names in `holders`. A consumer that is not there finds what there is.

local function number_in(head, field)
  return tonumber(redis.call('HGET', head, field) or 0)
end

local function holders_of(head)
  local names = {}
  for name in string.gmatch(redis.call('HGET', head, 'holders') or '', '%S+') do
    names[#names + 1] = name
  end
  return names
end

local function holds(names, name)
  for _, each in ipairs(names) do
    if each == name then return true end
  end
  return false
end

-- `names` without one of them, of which the head forgets all.
local function without(head, names, name)
  redis.call('HDEL', head, 'done:' .. name, 'hold:' .. name, 'from:' .. name, 'bound:' .. name)
  for i = #names, 1, -1 do
    if names[i] == name then table.remove(names, i) end
  end
  return names
end

-- Producers wait for the one that is farthest behind of those for whom they do.
local function count_committed(head, backlog, names)
  local least
  for _, name in ipairs(names) do
    if number_in(head, 'bound:' .. name) < 0 then
      local done = number_in(head, 'done:' .. name)
      if not least or done < least then least = done end
    end
  end
  local more = least and least - number_in(head, 'committed') or 0
  if more ~= 0 then
    redis.call('HINCRBY', head, 'committed', string.format('%.0f', more))
    redis.call('HINCRBY', backlog, 'waiting', string.format('%.0f', 0 - more))
  end
end

-- Bytes appended up to and with the entry at a position.
local function bytes_up_to(log, head, position)
  local entry = redis.call('XREVRANGE', log, string.format('%.0f-0', position), '-', 'COUNT', 1)[1]
  return entry and tonumber(entry[2][6]) or number_in(head, 'trimmed')
end
