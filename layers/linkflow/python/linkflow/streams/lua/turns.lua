-- Whose turn it is. Start-time fair queueing (Goyal, Vin and Cheng, 1996) on two levels: the workspaces of a partition,
-- and within a workspace its lines, by priority class first and then by fairness key.
--
-- A level has two sorted sets. `turns`: who has something waiting → where he stands. `rests`: who has nothing waiting,
-- but is ahead of the others by what he was given → where he stood; gone as soon as the others have caught up.
-- Beside them is one sorted set `held`, of workspaces and lines that may have nothing before a time, ms (a rate, a
-- sticky hint). A line is named class:workspace:key; in its workspace it is class:key.
local STEP = 1e12 -- between two priority classes: far more than the tasks of one busy period

local function level(tag, workspace)
  local suffix = workspace and ':' .. workspace or ''
  return {turns = tag .. ':turns' .. suffix, rests = tag .. ':rests' .. suffix}
end

local function parts_of(line)
  local class, workspace, key = string.match(line, '^(%d):([^:]*):(.*)$')
  return workspace, class .. ':' .. key
end

local function lowest(member)
  local class = string.match(member, '^(%d):')
  return class and class * STEP or 0
end

-- Whoever comes takes his place beside the one who is next, or further back where he has had more than the others.
local function enter(at, member)
  local start = lowest(member)
  local limits = {start, '(' .. start + STEP}
  local next = redis.call('ZRANGEBYSCORE', at.turns, limits[1], limits[2], 'WITHSCORES', 'LIMIT', 0, 1)[2]
  if next then
    local rested = redis.call('ZSCORE', at.rests, member)
    start = math.max(tonumber(next), tonumber(rested or 0))
    if rested then
      redis.call('ZREM', at.rests, member)
    end
  end
  redis.call('ZADD', at.turns, 'NX', start, member)
end

local function enter_line(tag, line)
  local workspace, member = parts_of(line)
  local inner = level(tag, workspace)
  if not redis.call('ZSCORE', inner.turns, member) then
    enter(inner, member)
    enter(level(tag), workspace)
  end
end

-- Nothing can go for `member` now. The others' standing decides how long his own is remembered.
local function leave(at, member, standing)
  redis.call('ZREM', at.turns, member)
  local low = lowest(member)
  local high = '(' .. low + STEP
  local next = redis.call('ZRANGEBYSCORE', at.turns, low, high, 'WITHSCORES', 'LIMIT', 0, 1)[2]
  redis.call('ZREMRANGEBYSCORE', at.rests, low, next or high)
  if next and standing > tonumber(next) then
    redis.call('ZADD', at.rests, standing, member)
  end
end

-- A line that ended may still have its turn, where the last claim took exactly what there was.
local function strike(tag, line)
  local workspace, member = parts_of(line)
  local inner = level(tag, workspace)
  local standing = redis.call('ZSCORE', inner.turns, member)
  if standing then
    leave(inner, member, tonumber(standing))
    local top = redis.call('EXISTS', inner.turns) == 0 and redis.call('ZSCORE', tag .. ':turns', workspace)
    if top then
      leave(level(tag), workspace, tonumber(top))
    end
  end
end

-- A line's stream goes when its last task is done, and the line and the workspace with it.
local function tidy(tag, line)
  local stream = tag .. ':s:' .. line
  if redis.call('XLEN', stream) == 0 then
    redis.call('DEL', stream)
    redis.call('HDEL', tag .. ':cursors', line)
    redis.call('ZREM', tag .. ':held', line)
    strike(tag, line)
    local worker = string.match(line, '@(.*)$')
    if worker then
      redis.call('SREM', tag .. ':mine:' .. worker, line)
    end
  end
end

-- How many tasks a workspace has here, waiting or leased: `open`, a hash.
local function count(tag, line, change)
  local workspace = parts_of(line)
  if redis.call('HINCRBY', tag .. ':open', workspace, change) <= 0 then
    redis.call('HDEL', tag .. ':open', workspace)
  end
end

local function ring(tag)
  if redis.call('LLEN', tag .. ':bell') == 0 then
    redis.call('LPUSH', tag .. ':bell', 1)
  end
end
