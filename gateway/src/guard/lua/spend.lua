-- Spends one of each budget, or none of any. Answers {0, 0}, or {which, wait in microseconds}.
-- KEYS: a key for each budget; with ARGV[2] > 0 one more, the mark of what has been seen.
-- ARGV: number of budgets, life of the mark in ms or 0, then for each budget interval and burst in microseconds and whether it is only
-- for what has not been seen.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local count = tonumber(ARGV[1])
local life = tonumber(ARGV[2])
local seen = life > 0 and redis.call('EXISTS', KEYS[count + 1]) == 1
local arrivals = {}
for i = 1, count do
  if not (seen and ARGV[3 * i + 2] == '1') then
    local interval = tonumber(ARGV[3 * i])
    local burst = tonumber(ARGV[3 * i + 1])
    local arrival = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now) + interval
    if arrival - now > burst then
      return {i, arrival - now - burst}
    end
    arrivals[i] = arrival
  end
end
for i, arrival in pairs(arrivals) do
  redis.call('SET', KEYS[i], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
end
if life > 0 and not seen then
  redis.call('SET', KEYS[count + 1], 1, 'PX', life)
end
return {0, 0}
