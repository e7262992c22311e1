-- Invitations that were never sent. KEYS: a partition's tag. ARGV: their names.
for _, id in ipairs(ARGV) do
  redis.call('ZREM', KEYS[1] .. ':rooms', '+' .. id)
end
return 0
