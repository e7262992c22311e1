-- Dead letters by id. KEYS: the partition's tag. ARGV: workspace, task id, … Returns a letter each, '' for unknown ones.
local reply = {}
for i = 2, #ARGV do
  local mine = redis.call('ZSCORE', KEYS[1] .. ':dead:' .. ARGV[1], ARGV[i])
  reply[#reply + 1] = mine and redis.call('HGET', KEYS[1] .. ':letters', ARGV[i]) or ''
end
return reply
