-- Who crowds a partition. KEYS: the partition's tag. ARGV: how many tasks it may have.
-- Returns nothing while there are no more; else the workspaces that have more than an equal share of that number.
local tag, bound = KEYS[1], tonumber(ARGV[1])
local reply = {}
if redis.call('SCARD', tag .. ':known') > bound then
  local share = bound / math.max(1, redis.call('HLEN', tag .. ':open'))
  local all = redis.call('HGETALL', tag .. ':open')
  for i = 1, #all, 2 do
    if tonumber(all[i + 1]) > share then
      reply[#reply + 1] = all[i]
    end
  end
end
return reply
