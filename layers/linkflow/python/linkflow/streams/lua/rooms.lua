-- Who will take tasks of a partition: `rooms`, a sorted set. A worker that has places left, or '+' and an invitation
-- whose worker is on its way, stands at: until when that holds (ms) · 1024 + how many tasks it will take.
local MOST_PLACES = 1023

local function offer(tag, name, places, deadline)
  if places > 0 then
    local score = string.format('%.0f', deadline * 1024 + math.min(places, MOST_PLACES))
    redis.call('ZADD', tag .. ':rooms', score, name)
  else
    redis.call('ZREM', tag .. ':rooms', name)
  end
end

-- Forgets those that have said nothing for too long: a worker that was killed, an invitation that never arrived.
local function clear_rooms(tag, now)
  redis.call('ZREMRANGEBYSCORE', tag .. ':rooms', '-inf', string.format('(%.0f', now * 1024))
end

-- Adds to `names` who will take how many of this partition's tasks; in several partitions it is the same places.
local function look_at_rooms(tag, now, names)
  clear_rooms(tag, now)
  local all = redis.call('ZRANGE', tag .. ':rooms', 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    names[all[i]] = math.max(names[all[i]] or 0, all[i + 1] % 1024)
  end
  return names
end

-- How many places those have, and how many of them are invitations.
local function sum_of_rooms(names)
  local places, invited = 0, 0
  for name, room in pairs(names) do
    places = places + room
    if string.sub(name, 1, 1) == '+' then
      invited = invited + 1
    end
  end
  return places, invited
end

-- How many of `waiting` tasks nobody will take. Of a queue with rates nobody knows how many may go now: there one
-- worker at a time is enough, since it calls the next one when its places are used up.
local function uncovered(waiting, places, paced)
  if paced then
    return places > 0 and 0 or math.min(waiting, 1)
  end
  return math.max(0, waiting - places)
end
