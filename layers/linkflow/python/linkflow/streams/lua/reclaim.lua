-- Takes over tasks whose lease ran out; a task that had all its deliveries becomes a dead letter.
-- KEYS: the keys of one or more partitions, 8 each. ARGV: worker, limit, lease ms, max deliveries, dead letters kept.
-- Returns the new leases' deadline, then 'claimed' or 'dead', partition index, lease, payload of each task.
local EACH = 8
local worker, limit, lease, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local reply = {now + lease}
local function answer(what, first, held, payload)
  reply[#reply + 1] = what
  reply[#reply + 1] = first / EACH
  reply[#reply + 1] = held
  reply[#reply + 1] = payload
  limit = limit - 1
end

for first = 0, #KEYS - EACH, EACH do
  local leases = KEYS[first + 5]
  local expired = limit > 0 and redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, limit) or {}
  for _, held in ipairs(expired) do
    local class, id, deliveries = string.match(held, '^(%d)/([%d-]+)/(%d+)/')
    local stream = KEYS[first + class + 1]
    local entry = redis.call('XRANGE', stream, id, id)[1]
    redis.call('ZREM', leases, held)
    if entry and tonumber(deliveries) >= most then
      local fields = entry[2]
      redis.call('XADD', KEYS[first + 7], 'MAXLEN', '~', ARGV[5], '*', 'i', fields[2], 't', fields[4], 'n', deliveries)
      redis.call('XDEL', stream, id)
      redis.call('SREM', KEYS[first + 4], fields[2])
      answer('dead', first, held, fields[4])
    elseif entry then
      local mine = class .. '/' .. id .. '/' .. (deliveries + 1) .. '/' .. worker
      redis.call('ZADD', leases, now + lease, mine)
      answer('claimed', first, mine, entry[2][4])
    end
  end
end
return reply
