-- Ends leases that are still held: the task is done, or goes to the queue again without counting as delivered.
-- KEYS: the partition's tag. ARGV: 'done' or 'back', lease, … Returns how many leases were held.
local tag = KEYS[1]
local known, leases = tag .. ':known', tag .. ':leases'
local released, again, ended = 0, false, {}
for i = 1, #ARGV, 2 do
  local held = ARGV[i + 1]
  if redis.call('ZREM', leases, held) == 1 then
    local line, id, deliveries, task = string.match(held, '^([^/]+)/([%d-]+)/(%d+)/[^|]*|(.*)$')
    local stream = tag .. ':s:' .. line
    if ARGV[i] == 'done' then
      redis.call('SREM', known, task)
      ended[line] = (ended[line] or 0) + 1
    else
      local fields = redis.call('XRANGE', stream, id, id)[1][2]
      redis.call('XADD', stream, '*', 'i', fields[2], 't', fields[4], 'n', deliveries - 1)
      enter_line(tag, line)
      again = true
    end
    redis.call('XDEL', stream, id)
    released = released + 1
  end
end
for line, tasks in pairs(ended) do
  count(tag, line, -tasks)
  tidy(tag, line)
end
if again then
  ring(tag)
end
return released
