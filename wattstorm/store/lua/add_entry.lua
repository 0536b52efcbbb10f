-- One entry more at the end of a log, and what its head counts.
-- kind: '' for a block of readings, else what the entry is. Returns its position.
-- The first write is the XADD: with memory full it is refused, and nothing has changed.
local function add_entry(log, head, backlog, kind, data)
  local held = redis.call('HMGET', head, 'tail', 'appended', 'chain')
  local position, size = string.format('%.0f', tonumber(held[1] or 0) + 1), #data
  local time = redis.call('TIME')
  local arrived = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  local total = string.format('%.0f', tonumber(held[2] or 0) + size)
  -- Each entry's chain stands for it and all before it: the same chain, the same log up to there.
  -- A block's header holds its producer, number and checksum; what is none has its kind and length.
  local said = {held[3] or '', arrived, size, string.sub(data, 1, 96)}
  if kind ~= '' then said[5] = kind end
  local chain = string.sub(redis.sha1hex(table.concat(said, ' ')), 1, 20)
  local entry = {'b', data, 't', arrived, 'a', total, 'h', chain}
  if kind ~= '' then entry[9], entry[10] = 'k', kind end
  redis.call('XADD', log, position .. '-0', unpack(entry))
  redis.call('HSET', head, 'tail', position, 'appended', total, 'chain', chain)
  redis.call('HINCRBY', backlog, 'waiting', size)
  redis.call('HINCRBY', backlog, 'kept', size)
  return tonumber(position)
end
