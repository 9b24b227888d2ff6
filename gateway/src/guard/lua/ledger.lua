-- Whether a guess may be forwarded; books it when asked to. Answers {admitted, minute, live codes, spent, wait in seconds}.
-- KEYS: live codes by the minute, what was spent by the minute.
-- ARGV: capacity in millionths, life of a code in minutes, 1 to book it, codes that are live and not counted here, the window in
-- minutes.
local window = tonumber(ARGV[5])
local minute = math.floor(redis.call('TIME')[1] / 60)
local oldest = minute
local function since(key, first, track)
  local sum = 0
  local bins = redis.call('HGETALL', key)
  for i = 1, #bins, 2 do
    local bin = tonumber(bins[i])
    if bin < first then
      redis.call('HDEL', key, bins[i])
    else
      sum = sum + tonumber(bins[i + 1])
      if track and bin < oldest then oldest = bin end
    end
  end
  return sum
end
local live = math.max(since(KEYS[1], minute - tonumber(ARGV[2]), false) + tonumber(ARGV[4]), 1)
local spent = since(KEYS[2], minute - window, true)
local wait = 60 * (oldest + window + 1 - minute)
if spent + live > tonumber(ARGV[1]) then
  return {0, minute, live, spent, wait}
end
if ARGV[3] == '1' then
  redis.call('HINCRBY', KEYS[2], minute, live)
  redis.call('EXPIRE', KEYS[2], 60 * (window + 2))
  spent = spent + live
end
return {1, minute, live, spent, wait}
