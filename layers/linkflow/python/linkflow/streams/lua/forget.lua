-- Drops dead letters of a workspace. KEYS: the partition's tag. ARGV: workspace, what, name, …: 'task' and its id, 'run'
-- and an execution id, or 'all' and nothing. Returns how many there were.
local tag, workspace = KEYS[1], ARGV[1]
local dropped = 0
for i = 2, #ARGV, 2 do
  local what, name = ARGV[i], ARGV[i + 1]
  if what == 'task' then
    dropped = dropped + unbury(tag, workspace, name)
  else
    for _, task in ipairs(redis.call('ZRANGE', tag .. ':dead:' .. workspace, 0, -1)) do
      if what == 'all' or string.sub(task, 1, #name + 1) == name .. '/' then
        dropped = dropped + unbury(tag, workspace, task)
      end
    end
  end
end
return dropped
