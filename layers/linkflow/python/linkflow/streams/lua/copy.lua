-- Says which settings the queue goes by. KEYS: the copy. ARGV: revision, most tasks in a partition, what has a
-- rate (JSON).
-- Returns 0 where a later revision is there, else 1.
local there = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) ')
if there and tonumber(there) > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
return 1
