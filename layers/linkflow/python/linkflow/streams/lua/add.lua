-- Adds tasks to one partition; a task that is known there is left alone.
-- KEYS: the partition's keys (see partition.py). ARGV: priority class, task id, payload, …
local known, bell = KEYS[4], KEYS[8]
local added = 0
for i = 1, #ARGV, 3 do
  if redis.call('SADD', known, ARGV[i + 1]) == 1 then
    redis.call('XADD', KEYS[ARGV[i] + 1], '*', 'i', ARGV[i + 1], 't', ARGV[i + 2], 'n', 0)
    added = added + 1
  end
end
if added > 0 and redis.call('LLEN', bell) == 0 then
  redis.call('LPUSH', bell, 1)
end
return added
