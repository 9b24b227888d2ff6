-- Undoes what a settlement names, once: settling again does nothing, and a decision that arrives after its settlement does nothing either.
-- `Memory::settle` does the same.
--
-- KEYS  1  the prefix of every key of the installation, in its hash tag: {password-reset}
-- ARGV  1  the id of the decision
--       2  the settlement in MessagePack with named fields, see `Settlement` in decision.rs; `undo` may hold "*": nothing came of the
--          decision, and nothing that has a receipt stays
--       3  the time in microseconds for tests; empty for the server's clock
--       4  how long it is remembered that the decision is settled, in microseconds
-- Reply    1 when something was settled, 0 when there was nothing to settle
--
-- Example  EVAL <script> 1 {password-reset} 0…1 {"undo":["booking"],"outcome":"right"} '' 900000000     → 1, the settlement in MessagePack
if #KEYS ~= 1 or #ARGV ~= 4 then
  return redis.error_reply('settle.lua takes 1 key and 4 arguments')
end
local prefix, id, settlement = KEYS[1], ARGV[1], cmsgpack.unpack(ARGV[2])
local now = tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local raise = settlement.raise
if raise then
  local key = prefix .. ':level:' .. raise.level.name
  local height, at = string.match(redis.call('GET', key) or '0:0', '^(%d+):(%d+)$')
  if raise.to >= math.max(0, height - math.floor(math.max(0, now - at) / raise.level.falls_after)) then
    local state = raise.to .. ':' .. string.format('%.0f', now)
    redis.call('SET', key, state, 'PX', math.ceil(math.max(1, raise.to) * raise.level.falls_after / 1000))
  end
end

local receipts_key = prefix .. ':receipts:' .. id
local stored = redis.call('GET', receipts_key)
redis.call('SET', receipts_key, 'settled', 'PX', math.ceil(tonumber(ARGV[4]) / 1000))
if not stored or stored == 'settled' then
  return 0
end
local receipts = cjson.decode(stored)
local undo = {}
for _, name in ipairs(settlement.undo) do
  undo[name] = true
end
local function undone(name)
  return undo[name] or undo['*']
end

for _, budget in ipairs(receipts.budgets) do
  -- A charge whose time is over has come back by itself.
  if undone(budget.name) and tonumber(budget.arrival) > now then
    local arrival = tonumber(redis.call('GET', budget.key) or 0) - budget.interval
    if arrival > now then
      redis.call('SET', budget.key, string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
    else
      redis.call('DEL', budget.key)
    end
  end
end

-- Takes a count back, never below zero.
local function take(key, field, count)
  local left = tonumber(redis.call('HGET', key, field) or 0)
  if left > 0 then
    redis.call('HINCRBY', key, field, -math.min(left, count))
  end
end
if receipts.live and undone('live') then
  take(prefix .. ':live', receipts.live, 1)
end
if receipts.booking and undone('booking') then
  for _, bin in ipairs(receipts.booking.bins) do
    take(bin[1], bin[2], receipts.booking.price)
  end
end

local record = receipts.record
if not record or tonumber(redis.call('HGET', record, 'ends') or 0) <= now then
  return 1
end
for _, counter in ipairs(receipts.counters) do
  if undone(counter) then
    take(record, 'used:' .. counter, 1)
  end
end
if receipts.mark then
  local field = 'mark:' .. receipts.mark.id
  -- Another try may have taken its place meanwhile, and has a settlement of its own.
  if redis.call('HGET', record, field) == receipts.mark.state then
    if undone(receipts.mark.name) then
      redis.call('HDEL', record, field)
    elseif settlement.outcome then
      redis.call('HSET', record, field, 'done:' .. settlement.outcome)
    end
  end
end
if settlement.restores and receipts.before and tonumber(redis.call('HGET', record, 'stage')) == receipts.after then
  redis.call('HSET', record, 'stage', receipts.before)
end
if settlement.stage then
  local stage = tonumber(redis.call('HGET', record, 'stage'))
  redis.call('HSET', record, 'stage', bit.bor(bit.band(stage, settlement.stage.sticky), settlement.stage.to))
end
if settlement.lifetime then
  redis.call('HSET', record, 'ends', string.format('%.0f', now + settlement.lifetime))
  redis.call('PEXPIRE', record, math.ceil(settlement.lifetime / 1000))
end
return 1
