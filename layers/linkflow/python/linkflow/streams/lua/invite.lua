-- How many workers to invoke, and notes that they are on their way, in one step.
-- KEYS: tag and rules' home of one or more partitions. ARGV: invitations' name, the number of the last one that was made
-- for other partitions (0: none), how many places it has left for these, tasks that a worker takes, most invitations under
-- way, for how many ms one counts. They are called name-1, name-2, …
-- Returns how many more there are now, and how many places the last one has left for other partitions.
local id, last, rest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local capacity, most = math.min(tonumber(ARGV[4]), MOST_PLACES), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = now + ARGV[6]

local function note(number, places)
  for i = 1, #KEYS, 2 do
    offer(KEYS[i], '+' .. id .. '-' .. number, places, deadline)
  end
end

if last > 0 then
  note(last, rest)
end
local names, waiting, paced = {}, 0, false
for i = 1, #KEYS, 2 do
  local tag = KEYS[i]
  look_at_rooms(tag, now, names)
  -- A lease that ran out is work as well: whoever comes takes it over.
  local leased = redis.call('ZCARD', tag .. ':leases') - redis.call('ZCOUNT', tag .. ':leases', '-inf', now)
  waiting = waiting + math.max(0, redis.call('SCARD', tag .. ':known') - leased)
  paced = paced or redis.call('EXISTS', KEYS[i + 1] .. ':rules') == 1
end
local places, invited = sum_of_rooms(names)
local wanted = uncovered(waiting, places, paced)
local need = math.max(0, math.min(math.ceil(wanted / capacity), most - invited))
for number = last + 1, last + need do
  note(number, capacity)
end
rest = need > 0 and capacity or rest
if not paced then
  rest = math.max(0, math.min(rest, places + need * capacity - waiting))
end
return {need, rest}
