-- Takes over tasks whose lease ran out; a task that had all its deliveries becomes a dead letter.
-- KEYS: the tags of one or more partitions. ARGV: worker, limit, lease ms, max deliveries, dead letters kept a workspace.
-- Returns the new leases' deadline, then 'claimed' or 'dead', partition index, lease, payload of each task.
local worker, limit, lease, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local reply = {now + lease}
local function answer(what, index, held, payload)
  reply[#reply + 1] = what
  reply[#reply + 1] = index
  reply[#reply + 1] = held
  reply[#reply + 1] = payload
  limit = limit - 1
end

for index, tag in ipairs(KEYS) do
  local leases = tag .. ':leases'
  local expired = limit > 0 and redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, limit) or {}
  for _, held in ipairs(expired) do
    local line, id, deliveries, last, task = string.match(held, '^([^/]+)/([%d-]+)/(%d+)/([^|]*)|(.*)$')
    local stream = tag .. ':s:' .. line
    local entry = redis.call('XRANGE', stream, id, id)[1]
    redis.call('ZREM', leases, held)
    if entry and tonumber(deliveries) >= most then
      local fields = entry[2]
      local reason = 'Delivered ' .. deliveries .. ' times without a result; the last time to ' .. last .. '.'
      bury(tag, (parts_of(line)), fields[2], {tonumber(deliveries), now, reason, fields[4]}, tonumber(ARGV[5]))
      redis.call('XDEL', stream, id)
      redis.call('SREM', tag .. ':known', fields[2])
      count(tag, line, -1)
      tidy(tag, line)
      answer('dead', index - 1, held, fields[4])
    elseif entry then
      local mine = line .. '/' .. id .. '/' .. (deliveries + 1) .. '/' .. worker .. '|' .. task
      redis.call('ZADD', leases, now + lease, mine)
      answer('claimed', index - 1, mine, entry[2][4])
    end
  end
end
return reply
