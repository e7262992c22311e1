-- Renews the leases that are still held. KEYS: the partition's tag. ARGV: worker, lease ms, lease, …
-- Returns 1 or 0 for each.
local leases = KEYS[1] .. ':leases'
local time = redis.call('TIME')
local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
local reply = {}
for i = 3, #ARGV do
  local held = redis.call('ZSCORE', leases, ARGV[i])
  if held then
    redis.call('ZADD', leases, deadline, ARGV[i])
  end
  reply[#reply + 1] = held and 1 or 0
end
redis.call('ZADD', KEYS[1] .. ':workers', deadline, ARGV[1])
return reply
