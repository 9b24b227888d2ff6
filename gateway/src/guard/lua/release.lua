-- Takes the mark of a try back, and the try itself when ARGV[1] is 1. KEYS: the counter, and perhaps the mark.
if KEYS[2] then
  redis.call('DEL', KEYS[2])
end
if ARGV[1] == '1' and tonumber(redis.call('GET', KEYS[1]) or 0) > 0 then
  redis.call('DECR', KEYS[1])
end
return 1
