-- One live code more (ARGV[1] empty) or less (ARGV[1] is its minute). KEYS: live codes by the minute. ARGV[2]: life in seconds.
-- Answers the minute.
local minute = ARGV[1]
if minute == '' then
  minute = math.floor(redis.call('TIME')[1] / 60)
  redis.call('HINCRBY', KEYS[1], minute, 1)
  redis.call('EXPIRE', KEYS[1], ARGV[2])
elseif tonumber(redis.call('HGET', KEYS[1], minute) or 0) > 0 then
  redis.call('HINCRBY', KEYS[1], minute, -1)
end
return tonumber(minute)
