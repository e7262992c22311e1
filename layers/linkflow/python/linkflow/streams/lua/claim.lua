-- Reads waiting tasks, whose turn it is, and leases them, in one step, so that no task can be read and not leased.
-- KEYS: tag and rules' home of one or more partitions. ARGV: worker, limit, lease ms, ms that the worker will wait, how
-- many tasks it has places for, for how many ms that is believed, the invitation that it came by or '', 1 where it goes if
-- there is nothing for it, and for how many ms it is worth staying where something held may go then.
-- Returns the lease's deadline, ms until something held may go (-1: nothing is held), 1 where it leaves tasks behind
-- that nobody will take, 1 where it does not go yet, then partition index, lease, payload of each task.
local worker, limit, lease, wait = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local places, believed, invitation, leaving = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8] == '1'
local patience, asked, behind = tonumber(ARGV[9]), limit, {}
local reply = {now + lease, -1, 0, 0}
local tag, index, rules, leases

local function held_until(ready)
  local left = math.max(1, math.ceil(ready - now))
  reply[2] = reply[2] < 0 and left or math.min(reply[2], left)
end

-- Who is next, where he stands, how far ahead of the one behind, and whether he is alone.
local function first(at)
  local two = redis.call('ZRANGE', at.turns, 0, 1, 'WITHSCORES')
  return two[1], tonumber(two[2]), two[4] and two[4] - two[2] or math.huge, not two[3]
end

-- Those whose time has come take their turns again.
local function wake()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', tag .. ':held', '-inf', now, 'LIMIT', 0, 1000)) do
    redis.call('ZREM', tag .. ':held', name)
    if string.find(name, ':', 1, true) then
      enter_line(tag, name)
    else
      enter(level(tag), name)
    end
  end
end

-- Leases up to `count` tasks of a line; returns how many there were.
local function read(line, count)
  local after = redis.call('HGET', tag .. ':cursors', line)
  local entries = redis.call('XRANGE', tag .. ':s:' .. line, after and '(' .. after or '-', '+', 'COUNT', count)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    local held = line .. '/' .. entry[1] .. '/' .. (fields[6] + 1) .. '/' .. worker .. '|' .. fields[2]
    leases[#leases + 1] = now + lease
    leases[#leases + 1] = held
    reply[#reply + 1] = index
    reply[#reply + 1] = held
    reply[#reply + 1] = fields[4]
  end
  if #entries > 0 then
    redis.call('HSET', tag .. ':cursors', line, entries[#entries][1])
  end
  return #entries
end

-- The next line of a workspace has its turn. Returns how many tasks it took and whether something is left.
local function serve(workspace, count)
  local inner = level(tag, workspace)
  local member, standing, gap, alone = first(inner)
  if not member then
    return 0, false
  end
  local key = string.match(member, '^%d:([^@]*)')
  local weight, open, ready = 1, count, nil
  if key ~= '' then
    weight, open, ready = rules.look(workspace .. ':' .. key, count)
  end
  local line = string.sub(member, 1, 2) .. workspace .. string.sub(member, 2)
  local most, got = math.min(open, math.floor(gap * weight) + 1), 0
  if most > 0 then
    got = read(line, most)
    if key ~= '' then
      rules.spend(workspace .. ':' .. key, got)
    end
  else
    redis.call('ZADD', tag .. ':held', ready, line)
  end
  if most > 0 and got == most then
    redis.call('ZADD', inner.turns, standing + got / weight, member)
    return got, true
  elseif alone then
    redis.call('DEL', inner.turns, inner.rests)
    return got, false
  end
  leave(inner, member, standing + got / weight)
  return got, true
end

-- What is meant for this worker comes before the turns, within the same rates, and counts as its workspace's.
local function take_mine(left)
  for _, line in ipairs(redis.call('SMEMBERS', tag .. ':mine:' .. worker)) do
    local workspace, key = string.match(line, '^%d:([^:]*):([^@]*)')
    local weight, open = rules.look(workspace, left)
    local inner = open
    if key ~= '' then
      _, inner = rules.look(workspace .. ':' .. key, open)
    end
    local got = inner > 0 and read(line, inner) or 0
    if got < inner then
      redis.call('SREM', tag .. ':mine:' .. worker, line)
      redis.call('ZREM', tag .. ':held', line)
    end
    rules.spend(workspace, got)
    if key ~= '' then
      rules.spend(workspace .. ':' .. key, got)
    end
    if got > 0 and redis.call('ZSCORE', tag .. ':turns', workspace) then
      redis.call('ZINCRBY', tag .. ':turns', got / weight, workspace)
    end
    left = left - got
  end
  return left
end

local function take()
  local top = level(tag)
  wake()
  local _, room, ready = rules.look('', limit)
  local left = room > 0 and take_mine(room) or 0
  while left > 0 do
    local workspace, standing, gap = first(top)
    if not workspace then
      break
    end
    local weight, open, ready = rules.look(workspace, left)
    if open > 0 then
      local got, more = serve(workspace, math.min(open, math.floor(gap * weight) + 1))
      left = left - got
      rules.spend(workspace, got)
      if more then
        redis.call('ZADD', top.turns, standing + got / weight, workspace)
      else
        leave(top, workspace, standing + got / weight)
      end
    else
      redis.call('ZADD', tag .. ':held', ready, workspace)
      leave(top, workspace, standing)
    end
  end
  rules.spend('', room - left)
  limit = limit - (room - left)
  return ready
end

-- What was kept for a worker that goes is anybody's.
local function let_go()
  for _, line in ipairs(redis.call('SMEMBERS', tag .. ':mine:' .. worker)) do
    if redis.call('ZREM', tag .. ':held', line) == 1 then
      enter_line(tag, line)
    end
  end
  redis.call('DEL', tag .. ':mine:' .. worker)
end

-- Whoever leaves something behind wakes the next one: one ring wakes one waiter, not the whole fleet. What is held back
-- wakes nobody: who waits is told for how long.
local function pass_on(ready)
  redis.call('ZADD', tag .. ':workers', now + lease + wait, worker)
  redis.call('ZREMRANGEBYSCORE', tag .. ':workers', '-inf', now)
  local waiting = redis.call('SCARD', tag .. ':known') - redis.call('ZCARD', tag .. ':leases')
  local turns = waiting > 0 and redis.call('EXISTS', tag .. ':turns') == 1
  redis.call('DEL', tag .. ':bell:' .. worker)
  if turns and not ready then
    ring(tag)
    behind[tag] = waiting
  else
    redis.call('DEL', tag .. ':bell')
  end
  if turns and ready then
    held_until(ready)
  end
  local next = waiting > 0 and redis.call('ZRANGE', tag .. ':held', 0, 0, 'WITHSCORES')[2]
  if next then
    held_until(tonumber(next))
  end
end

-- Is it worth waiting for what is held, and nobody else there who would?
local function is_last()
  if reply[2] < 0 or reply[2] > patience then
    return false
  end
  local rooms = {}
  for i = 1, #KEYS, 2 do
    look_at_rooms(KEYS[i], now, rooms)
  end
  rooms[worker] = nil
  return next(rooms) == nil
end

-- Will others take what is left behind? Of a queue's partitions that are looked at together: they have one home.
local function covered()
  local queues = {}
  for i = 1, #KEYS, 2 do
    local queue = queues[KEYS[i + 1]] or {waiting = 0, rooms = {}}
    queues[KEYS[i + 1]] = queue
    queue.waiting = queue.waiting + (behind[KEYS[i]] or 0)
    look_at_rooms(KEYS[i], now, queue.rooms)
  end
  for home, queue in pairs(queues) do
    if uncovered(queue.waiting, sum_of_rooms(queue.rooms), rules_of(home) ~= NONE) > 0 then
      return false
    end
  end
  return true
end

-- Says how many places the worker has left, or that it is gone.
local function attend()
  local left = math.max(0, places - (asked - limit))
  local gone = leaving and limit == asked
  local last = gone and is_last()
  if last and asked > 0 then
    gone, reply[4] = false, 1
  end
  for i = 1, #KEYS, 2 do
    local at = KEYS[i]
    if invitation ~= '' then
      redis.call('ZREM', at .. ':rooms', '+' .. invitation)
    end
    clear_rooms(at, now)
    offer(at, worker, gone and 0 or left, now + believed)
    if gone then
      redis.call('ZREM', at .. ':workers', worker)
    end
  end
  if (gone and last) or (next(behind) and (gone or left == 0) and not covered()) then
    reply[3] = 1
  end
end

for i = 1, #KEYS, 2 do
  tag, index, rules, leases = KEYS[i], (i - 1) / 2, rules_of(KEYS[i + 1]), {}
  if leaving then
    let_go()
  end
  local ready = limit > 0 and take() or nil
  if #leases > 0 then
    redis.call('ZADD', tag .. ':leases', unpack(leases))
  end
  pass_on(ready)
end
attend()
return reply
