-- Says which settings the queue goes by. KEYS: the copy, the witness of its writing. ARGV: revision, most tasks in a
-- partition, what has a rate (JSON).
-- Returns 0 where a later revision is there, or the witness is gone and with it what was written, else 1.
if redis.call('DEL', KEYS[2]) == 0 then
  return 0
end
local there = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) ')
if there and tonumber(there) > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
return 1
