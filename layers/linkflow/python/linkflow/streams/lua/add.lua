-- Adds tasks to one partition; a task that is known there is left alone.
-- KEYS: the partition's tag (see partition.py). ARGV: line, task id, payload, …
local tag = KEYS[1]
local known, entered = tag .. ':known', {}
local added = 0
for i = 1, #ARGV, 3 do
  local line = ARGV[i]
  if redis.call('SADD', known, ARGV[i + 1]) == 1 then
    redis.call('XADD', tag .. ':s:' .. line, '*', 'i', ARGV[i + 1], 't', ARGV[i + 2], 'n', 0)
    added = added + 1
    if not entered[line] then
      entered[line] = true
      enter_line(tag, line)
    end
  end
end
if added > 0 then
  ring(tag)
end
return added
