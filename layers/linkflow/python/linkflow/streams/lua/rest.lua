-- The clock rests, unless somebody works or has since it looked. KEYS: state, count, since.
-- ARGV: for how many ms, the count when it looked, how many ms this store has to have known of anybody.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[3], string.format('%.0f', now), 'NX')
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then
  return 0
end
if now - tonumber(redis.call('GET', KEYS[3])) < tonumber(ARGV[3]) then
  return 0
end
return redis.call('SET', KEYS[1], 'rest', 'PX', ARGV[1], 'NX') and 1 or 0
