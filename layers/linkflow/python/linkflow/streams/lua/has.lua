-- Is this task waiting or leased here? KEYS: the partition's tag. ARGV: task id.
return redis.call('SISMEMBER', KEYS[1] .. ':known', ARGV[1])
