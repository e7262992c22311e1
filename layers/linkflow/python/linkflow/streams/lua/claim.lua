-- Reads waiting tasks and leases them, in one step, so that no task can be read and not leased.
-- KEYS: the keys of one or more partitions, 8 each. ARGV: worker, limit, lease ms, ms that the worker will wait.
-- Returns the lease's deadline, then partition index, lease, payload of each task.
local EACH = 8
local worker, limit, lease, wait = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function read(stream)
  local command = {'XREADGROUP', 'GROUP', 'workers', 'lease', 'COUNT', limit, 'NOACK', 'STREAMS', stream, '>'}
  local reply = redis.pcall(unpack(command))
  if reply and reply.err then -- a new stream, or everything was flushed
    redis.call('XGROUP', 'CREATE', stream, 'workers', 0)
    reply = redis.call(unpack(command))
  end
  return reply and reply[1][2] or {}
end

local reply = {now + lease}
for class = 0, 2 do
  for first = 0, #KEYS - EACH, EACH do
    local stream = KEYS[first + class + 1]
    if limit > 0 and redis.call('XLEN', stream) > 0 then
      local leases = {}
      for _, entry in ipairs(read(stream)) do
        local fields = entry[2]
        local held = class .. '/' .. entry[1] .. '/' .. (fields[6] + 1) .. '/' .. worker
        leases[#leases + 1] = now + lease
        leases[#leases + 1] = held
        reply[#reply + 1] = first / EACH
        reply[#reply + 1] = held
        reply[#reply + 1] = fields[4]
        limit = limit - 1
      end
      if #leases > 0 then
        redis.call('ZADD', KEYS[first + 5], unpack(leases))
      end
    end
  end
end

for first = 0, #KEYS - EACH, EACH do
  local workers, bell = KEYS[first + 6], KEYS[first + 8]
  redis.call('ZADD', workers, now + lease + wait, worker)
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
  -- Whoever leaves something behind wakes the next one: one ring wakes one waiter, not the whole fleet.
  local waiting = -redis.call('ZCARD', KEYS[first + 5])
  for class = 1, 3 do
    waiting = waiting + redis.call('XLEN', KEYS[first + class])
  end
  if waiting <= 0 then
    redis.call('DEL', bell)
  elseif redis.call('LLEN', bell) == 0 then
    redis.call('LPUSH', bell, 1)
  end
end
return reply
