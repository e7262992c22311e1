-- GCRA (ITU-T I.371, the generic cell rate algorithm): one number a key, the theoretical arrival time (TAT) in µs.
-- KEYS: bucket. ARGV: µs between two units, burst, cost. Returns 0 if taken, else µs until it can be.
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + interval * cost
local early = tat - interval * burst - now
if early > 0 then
  return math.ceil(early)
end
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
return 0
