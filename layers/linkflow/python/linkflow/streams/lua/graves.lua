-- Dead letters of a partition. `letters`: hash, task id → {deliveries, time of death in ms, reason, task as JSON};
-- `dead` and `dead:WS`: sorted sets of the task ids by time of death, of all workspaces and of one.
local function unbury(tag, workspace, task)
  if redis.call('ZREM', tag .. ':dead:' .. workspace, task) == 0 then
    return 0 -- not there, or another workspace's
  end
  redis.call('HDEL', tag .. ':letters', task)
  redis.call('ZREM', tag .. ':dead', task)
  return 1
end

-- A workspace keeps its newest `kept` letters.
local function bury(tag, workspace, task, letter, kept)
  redis.call('HSET', tag .. ':letters', task, cmsgpack.pack(letter))
  redis.call('ZADD', tag .. ':dead', letter[2], task)
  redis.call('ZADD', tag .. ':dead:' .. workspace, letter[2], task)
  local over = redis.call('ZCARD', tag .. ':dead:' .. workspace) - kept
  for _, old in ipairs(redis.call('ZRANGE', tag .. ':dead:' .. workspace, 0, over - 1)) do
    if over > 0 then
      unbury(tag, workspace, old)
    end
  end
end
