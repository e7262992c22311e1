-- How many workers to invoke for new tasks. KEYS: a queue's invitations. ARGV: tasks, capacity of a worker, most workers,
-- for how many ms they count.
local count, capacity, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local found = redis.call('HMGET', KEYS[1], 'room', 'workers')
local room, workers = tonumber(found[1] or 0), tonumber(found[2] or 0)
if count <= room then
  redis.call('HSET', KEYS[1], 'room', room - count)
  return 0
end
local need = math.min(math.ceil((count - room) / capacity), most - workers)
if need <= 0 then -- those who come take it as well; after their time others are invoked
  redis.call('HSET', KEYS[1], 'room', 0)
  return 0
end
redis.call('HSET', KEYS[1], 'room', math.max(0, room + need * capacity - count), 'workers', workers + need)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return need
