-- A guess was none. KEYS: what was spent by the minute. ARGV: the minute, the price.
local spent = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
if spent > 0 then
  redis.call('HINCRBY', KEYS[1], ARGV[1], -math.min(spent, tonumber(ARGV[2])))
end
return 1
