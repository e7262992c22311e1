-- GCRA (ITU-T I.371, the generic cell rate algorithm): one number a key, the theoretical arrival time (TAT) in µs.
-- KEYS: bucket. ARGV: µs between two units, burst, cost. Returns 0 if taken, else µs until it can be;
-- and how many units are left.
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local before = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local tat = before + interval * cost
local function left(at)
  return math.max(0, math.floor(burst - (at - now) / interval + 1e-6))
end
local early = tat - interval * burst - now
if early > 0 then
  return {math.ceil(early), left(before)}
end
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
return {0, left(tat)}
