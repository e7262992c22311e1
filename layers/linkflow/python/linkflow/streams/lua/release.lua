-- Ends leases that are still held: the task is done, or goes to the queue again without counting as delivered.
-- KEYS: the partition's keys. ARGV: 'done' or 'back', lease, task id, … Returns how many leases were held.
local known, leases, bell = KEYS[4], KEYS[5], KEYS[8]
local released, again = 0, false
for i = 1, #ARGV, 3 do
  local held = ARGV[i + 1]
  if redis.call('ZREM', leases, held) == 1 then
    local class, id, deliveries = string.match(held, '^(%d)/([%d-]+)/(%d+)/')
    local stream = KEYS[class + 1]
    if ARGV[i] == 'done' then
      redis.call('SREM', known, ARGV[i + 2])
    else
      local fields = redis.call('XRANGE', stream, id, id)[1][2]
      redis.call('XADD', stream, '*', 'i', fields[2], 't', fields[4], 'n', deliveries - 1)
      again = true
    end
    redis.call('XDEL', stream, id)
    released = released + 1
  end
end
if again and redis.call('LLEN', bell) == 0 then
  redis.call('LPUSH', bell, 1)
end
return released
