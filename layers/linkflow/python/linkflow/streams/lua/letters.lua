-- The newest dead letters, newest first. KEYS: the partition's tag. ARGV: '' for all or ':' and the workspace, the time
-- (ms) from which to go back, how many; of that very time there may be more.
-- Returns task id, letter, …
local tag = KEYS[1]
local set = tag .. ':dead' .. ARGV[1]
local count = ARGV[3] + redis.call('ZCOUNT', set, ARGV[2], ARGV[2])
local reply = {}
for _, task in ipairs(redis.call('ZREVRANGEBYSCORE', set, ARGV[2], '-inf', 'LIMIT', 0, count)) do
  reply[#reply + 1] = task
  reply[#reply + 1] = redis.call('HGET', tag .. ':letters', task)
end
return reply
