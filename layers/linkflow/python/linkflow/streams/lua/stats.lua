-- Counts one partition. KEYS: the partition's tag. ARGV: in how many workspaces to look for the oldest waiting task.
-- Returns waiting, leased, dead, age in ms of the oldest waiting task, live workers, for how many tasks they
-- have places, workers that are invited and not there yet.
local tag = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local oldest = now
local function look(line)
  local after = redis.call('HGET', tag .. ':cursors', line)
  local entry = redis.call('XRANGE', tag .. ':s:' .. line, after and '(' .. after or '-', '+', 'COUNT', 1)[1]
  oldest = math.min(oldest, entry and tonumber(string.match(entry[1], '^%d+')) or now)
end

local leased = redis.call('ZCARD', tag .. ':leases')
local waiting = redis.call('SCARD', tag .. ':known') - leased
local function look_in(workspace)
  for _, member in ipairs(redis.call('ZRANGE', tag .. ':turns:' .. workspace, 0, 9)) do
    look(string.sub(member, 1, 1) .. ':' .. workspace .. ':' .. string.sub(member, 3))
  end
end

for _, workspace in ipairs(redis.call('ZRANGE', tag .. ':turns', 0, ARGV[1] - 1)) do
  look_in(workspace)
end
for _, name in ipairs(redis.call('ZRANGE', tag .. ':held', 0, ARGV[1] - 1)) do
  if string.find(name, ':', 1, true) then
    look(name)
  else
    look_in(name)
  end
end
local workers = redis.call('ZCOUNT', tag .. ':workers', now, '+inf')
local places, invited = 0, 0
local rooms = redis.call('ZRANGEBYSCORE', tag .. ':rooms', string.format('%.0f', now * 1024), '+inf', 'WITHSCORES')
for i = 1, #rooms, 2 do
  if string.sub(rooms[i], 1, 1) == '+' then
    invited = invited + 1
  else
    places = places + rooms[i + 1] % 1024
  end
end
local dead = redis.call('ZCARD', tag .. ':dead')
return {math.max(0, waiting), leased, dead, now - oldest, workers, places, invited}
