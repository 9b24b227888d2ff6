-- Looks after what all replicas have to know. Writes, so that a server that cannot be written to is noticed. Answers {epoch in ms, live
-- codes}.
-- KEYS: the epoch, live codes by the minute. ARGV: the epoch if there is none, empty for now; life of a code in minutes; life of the epoch
-- in ms.
local time = redis.call('TIME')
local epoch = ARGV[1]
if epoch == '' then
  epoch = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end
redis.call('SET', KEYS[1], epoch, 'NX')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local first = math.floor(time[1] / 60) - tonumber(ARGV[2])
local live = 0
local bins = redis.call('HGETALL', KEYS[2])
for i = 1, #bins, 2 do
  if tonumber(bins[i]) >= first then
    live = live + tonumber(bins[i + 1])
  end
end
return {tonumber(redis.call('GET', KEYS[1])), live}
