-- Who is there. KEYS: a partition's tag. Returns each worker and how many tasks it has places for.
local time = redis.call('TIME')
local reply = {}
for name, places in pairs(look_at_rooms(KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), {})) do
  if string.sub(name, 1, 1) ~= '+' then
    reply[#reply + 1] = name
    reply[#reply + 1] = places
  end
end
return reply
