-- Whether each counter of a flow has tries left, 1 or 0; what is known lives on. KEYS: the counters. ARGV: life in ms, then the most of
-- each.
local left = 1
for i, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[1])
  if tonumber(redis.call('GET', key) or 0) >= tonumber(ARGV[i + 1]) then
    left = 0
  end
end
return left
