-- How often a counter was tried; what is known lives on. KEYS: the counter. ARGV: life in ms.
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return tonumber(redis.call('GET', KEYS[1]) or 0)
