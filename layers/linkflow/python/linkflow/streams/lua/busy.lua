-- Somebody works. KEYS: state, count, since. ARGV: for how many ms nobody may rest.
redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], 'busy', 'PX', ARGV[1])
