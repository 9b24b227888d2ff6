-- Counts a try before it is made. Answers 0 for go on, 1 for exhausted, 2 for repeated.
-- KEYS: the counter, and perhaps a mark. ARGV: the most tries, life in ms.
if tonumber(redis.call('GET', KEYS[1]) or 0) >= tonumber(ARGV[1]) then
  return 1
end
redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if KEYS[2] and not redis.call('SET', KEYS[2], 1, 'NX', 'PX', ARGV[2]) then
  return 2
end
return 0
