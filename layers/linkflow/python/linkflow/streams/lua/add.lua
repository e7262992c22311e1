-- Adds tasks to one partition; a task that is known there is left alone.
-- KEYS: the partition's tag (see partition.py). ARGV: ms for which a task is kept for the worker that it is meant for,
-- then line, task id, payload, …
local tag = KEYS[1]
local known, lines, new = tag .. ':known', {}, {}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local added = 0

-- Lets a line that has something now take part. One that is meant for a worker waits for it a moment, where it lives;
-- else its tasks go to the line that is meant for anyone. Returns the line to use.
local function open(line)
  local anyone, worker = string.match(line, '^(.*)@(.*)$')
  if not worker then
    enter_line(tag, line)
    return line
  end
  if tonumber(redis.call('ZSCORE', tag .. ':workers', worker) or 0) < now then
    enter_line(tag, anyone)
    return anyone
  end
  redis.call('ZADD', tag .. ':held', 'NX', now + ARGV[1], line)
  redis.call('SADD', tag .. ':mine:' .. worker, line)
  redis.call('DEL', tag .. ':bell:' .. worker)
  redis.call('LPUSH', tag .. ':bell:' .. worker, 1)
  redis.call('PEXPIRE', tag .. ':bell:' .. worker, 5000)
  return line
end

for i = 2, #ARGV, 3 do
  local line = ARGV[i]
  if redis.call('SADD', known, ARGV[i + 1]) == 1 then
    lines[line] = lines[line] or open(line)
    redis.call('XADD', tag .. ':s:' .. lines[line], '*', 'i', ARGV[i + 1], 't', ARGV[i + 2], 'n', 0)
    new[line] = (new[line] or 0) + 1
    added = added + 1
  end
end
for line, tasks in pairs(new) do
  count(tag, line, tasks)
end
if added > 0 then
  ring(tag)
end
return added
