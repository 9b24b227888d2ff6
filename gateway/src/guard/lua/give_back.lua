-- Undoes one spend. KEYS: a key for each budget. ARGV: its interval in microseconds.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for i, key in ipairs(KEYS) do
  local arrival = tonumber(redis.call('GET', key) or 0) - ARGV[i]
  if arrival > now then
    redis.call('SET', key, string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
  else
    redis.call('DEL', key)
  end
end
return 1
