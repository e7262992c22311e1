-- Counts one partition, each number in constant time. KEYS: the partition's keys.
-- Returns waiting, leased, dead, age in ms of the oldest waiting task, live workers.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function first_waiting(stream)
  local after = '-'
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    for i = 1, #group, 2 do
      if group[i] == 'last-delivered-id' then
        after = '(' .. group[i + 1]
      end
    end
  end
  local entry = redis.call('XRANGE', stream, after, '+', 'COUNT', 1)[1]
  return entry and tonumber(string.match(entry[1], '^%d+'))
end

local leased = redis.call('ZCARD', KEYS[5])
local waiting, oldest = -leased, now
for class = 1, 3 do
  local length = redis.call('XLEN', KEYS[class])
  waiting = waiting + length
  if length > 0 then
    oldest = math.min(oldest, first_waiting(KEYS[class]) or now)
  end
end
local workers = redis.call('ZCOUNT', KEYS[6], now, '+inf')
return {math.max(0, waiting), leased, redis.call('XLEN', KEYS[7]), now - oldest, workers}
