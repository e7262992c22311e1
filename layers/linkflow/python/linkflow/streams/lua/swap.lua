-- Writes a queue's shape, unless somebody else has meanwhile. KEYS: the shape. ARGV: as it was read, as it shall be.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
