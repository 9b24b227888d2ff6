-- Looks after what all replicas have to know. Writes, so that a server that cannot be written to is noticed. Answers {epoch in ms, looks so
-- far, live codes}.
-- KEYS: the epoch, the number of looks, live codes by the minute. ARGV: the epoch if it has to be made, by the clock of whoever asks; the
-- number of looks it has seen; life of a code in minutes; life of epoch and number in ms.
local looks = redis.call('INCR', KEYS[2])
if looks <= tonumber(ARGV[2]) then
  -- Back from an older state: what was counted since is forgotten.
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'NX')
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
local first = math.floor(redis.call('TIME')[1] / 60) - tonumber(ARGV[3])
local live = 0
local bins = redis.call('HGETALL', KEYS[3])
for i = 1, #bins, 2 do
  if tonumber(bins[i]) >= first then
    live = live + tonumber(bins[i + 1])
  end
end
return {tonumber(redis.call('GET', KEYS[1])), looks, live}
