-- A workspace's tasks in one partition. KEYS: the partition's tag. ARGV: workspace.
-- Returns how many there are, waiting or leased, and the age in ms of the oldest that waits (among its first lines).
local tag, workspace = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local oldest = now
local function look(line)
  local after = redis.call('HGET', tag .. ':cursors', line)
  local entry = redis.call('XRANGE', tag .. ':s:' .. line, after and '(' .. after or '-', '+', 'COUNT', 1)[1]
  oldest = math.min(oldest, entry and tonumber(string.match(entry[1], '^%d+')) or now)
end
for _, member in ipairs(redis.call('ZRANGE', tag .. ':turns:' .. workspace, 0, 99)) do
  look(string.sub(member, 1, 1) .. ':' .. workspace .. ':' .. string.sub(member, 3))
end
for _, name in ipairs(redis.call('ZRANGE', tag .. ':held', 0, 999)) do
  if string.find(name, ':', 1, true) and parts_of(name) == workspace then
    look(name)
  end
end
return {tonumber(redis.call('HGET', tag .. ':open', workspace) or 0), now - oldest}
