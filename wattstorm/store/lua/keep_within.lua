-- A log that nobody holds: its oldest entries go, so that no more than `bound` bytes stay. The
-- newest always does. Whoever had not read what went meets a LogGap, and is told so.
local function keep_within(log, head, backlog, bound)
  local held = redis.call('HMGET', head, 'appended', 'trimmed')
  local appended, before = tonumber(held[1] or 0), tonumber(held[2] or 0)
  local trimmed = before
  while appended - trimmed > bound do
    local first
    for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', 16)) do
      local upto = tonumber(entry[2][6])  -- bytes appended up to and with it
      if appended - trimmed <= bound or upto == appended then break end
      trimmed, first = upto, tonumber(string.match(entry[1], '^%d+')) + 1
    end
    if not first then break end
    first = string.format('%.0f', first)
    redis.call('XTRIM', log, 'MINID', first .. '-0')
    redis.call('HSET', head, 'first', first, 'trimmed', string.format('%.0f', trimmed))
  end
  if trimmed > before then redis.call('HINCRBY', backlog, 'kept', before - trimmed) end
end
