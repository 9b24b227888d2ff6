-- Decides whether an act may be done, and charges what it costs, see `Decision` in decision.rs. `Memory::decide` does the same in this order.
--
-- KEYS  1  the prefix of every key of the installation, in its hash tag: {password-reset}
--          (The other keys follow from it and from what the record holds, so they cannot be listed before; the tag keeps them in one slot.)
-- ARGV  1  the decision as JSON, see `Decision` in decision.rs
--       2  the prefix of records, which is another one after each start or failover of the server: {password-reset}:<run_id>:<replid>
--       3  the time in microseconds for tests; empty for the server's clock
--       4  how long distinct things are remembered, 5 how long receipts wait for their settlement, both in microseconds
-- Reply     the decision as JSON: verdict, the place of the budget or counter in its list (from 1), wait in microseconds, outcome,
--           record {id, subject, stage}, reading {live, spent, capacity}, receipts by name
--
-- Example   EVAL <script> 1 {password-reset} '{"id":"0…1","open":[{"budget":"resets","subject":"all","rates":[{"seconds":3600,
--           "interval":6000000,"burst":3600000000}],"stages":255,"unless":0,"receipt":false}],"silent":[],"makes_live":false}'
--           {password-reset}:a:b '' 3600000000 900000000     → {"verdict":"charged","receipts":[]}
if #KEYS ~= 1 or #ARGV ~= 5 then
  return redis.error_reply('decide.lua takes 1 key and 5 arguments')
end
local prefix, decision, records = KEYS[1], cjson.decode(ARGV[1]), ARGV[2]
local distinct_for, settle_within = tonumber(ARGV[4]), tonumber(ARGV[5])
local now = tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local minute = math.floor(now / 60000000)

local function number(value)
  return string.format('%.0f', value)
end

-- A lifetime for PEXPIRE, never below one millisecond.
local function milliseconds(duration)
  return number(math.max(1, math.ceil(duration / 1000)))
end

local function reply(answer)
  if answer.receipts and #answer.receipts == 0 then
    answer.receipts = nil
  end
  return cjson.encode(answer)
end

local receipts_key = prefix .. ':receipts:' .. decision.id
if redis.call('EXISTS', receipts_key) == 1 then
  -- Settled before it arrived: whoever asked has given up.
  return reply({verdict = 'settled'})
end

-- A record as a table, nil when none stands.
local function read(id)
  local fields = redis.call('HGETALL', records .. ':record:' .. id)
  if #fields == 0 then
    return nil
  end
  local record = {id = id}
  for i = 1, #fields, 2 do
    record[fields[i]] = fields[i + 1]
  end
  record.stage = tonumber(record.stage)
  if tonumber(record.ends) <= now then
    return nil
  end
  return record
end

local function used(record, counter)
  return tonumber(record['used:' .. counter] or 0)
end

local function view(record)
  return record and {id = record.id, subject = record.subject, stage = record.stage}
end

-- What charging budgets would come to: a list of writes, or nil with the place of the exhausted one and how long to wait.
local function spend(charges, record, stage)
  local writes = {}
  for place, charge in ipairs(charges) do
    local subject = charge.subject
    if subject == 'record' then
      subject = record and record.subject
    end
    local distinct = charge.distinct and subject and prefix .. ':distinct:' .. subject .. ':' .. charge.distinct
    local known = distinct and tonumber(redis.call('GET', distinct) or 0) > now
    local meant = charge.stages == 255 or bit.band(stage, charge.stages) ~= 0
    if subject and not known and meant and bit.band(stage, charge.unless) == 0 then
      for _, rate in ipairs(charge.rates) do
        local key = prefix .. ':budget:' .. subject .. ':' .. charge.budget .. ':' .. number(rate.seconds)
        local arrival = math.max(tonumber(redis.call('GET', key) or 0), now) + rate.interval
        if arrival - now > rate.burst then
          return nil, place, arrival - now - rate.burst
        end
        table.insert(writes, {charge = charge, key = key, arrival = arrival, interval = rate.interval, distinct = distinct})
      end
    end
  end
  return writes
end

local function charge(writes)
  for _, write in ipairs(writes) do
    redis.call('SET', write.key, number(write.arrival), 'PX', milliseconds(write.arrival - now))
    if write.distinct then
      redis.call('SET', write.distinct, number(now + distinct_for), 'PX', milliseconds(distinct_for))
    end
  end
end

-- The sum of counts since a minute, and the minute of the oldest; what is older is dropped.
local function since(key, first)
  local sum, oldest = 0, minute
  local bins = redis.call('HGETALL', key)
  for i = 1, #bins, 2 do
    local bin = tonumber(bins[i])
    if bin < first then
      redis.call('HDEL', key, bins[i])
    else
      sum = sum + tonumber(bins[i + 1])
      oldest = math.min(oldest, bin)
    end
  end
  return sum, oldest
end

-- The record that the act happens in.
local begin = decision.record and decision.record.begin
local visit = decision.record and decision.record.visit
local record, fresh = nil, nil
if begin then
  for _, owned in ipairs(begin.current) do
    local known = read(owned.id)
    local has_room = known and known.owner == owned.owner
    for _, counter in ipairs(begin.counters) do
      has_room = has_room and used(known, counter.name) < counter.most
    end
    if has_room then
      record = known
      break
    end
  end
  if not record then
    fresh = {id = begin.fresh.id, owner = begin.fresh.owner, subject = begin.subject, stage = 0}
  end
elseif visit then
  record = read(visit.id)
  if not record and visit.or_begin then
    fresh = {id = visit.id, stage = visit.or_begin.stage}
  elseif not record then
    return reply({verdict = 'absent'})
  elseif bit.band(record.stage, visit.stages) == 0 then
    return reply({verdict = 'other_stage', record = view(record)})
  elseif visit.owner and record.owner ~= visit.owner then
    return reply({verdict = 'other_owner', record = view(record)})
  end
end
local stage = (record or fresh or {stage = 0}).stage

-- What may refuse openly.
local open, place, wait = spend(decision.open, record, stage)
if not open then
  return reply({verdict = 'exhausted', place = place, wait = wait, record = view(record)})
end
local mark = visit and visit.mark
local marked = mark and record and record['mark:' .. mark.id]
if marked then
  local since_when = tonumber(string.match(marked, '^busy:(%d+)$'))
  if not since_when then
    charge(open)
    return reply({verdict = 'repeated', outcome = string.sub(marked, 6), record = view(record)})
  elseif not (mark.busy and since_when + mark.busy <= now) then
    charge(open)
    return reply({verdict = 'repeated', record = view(record)})
  end
end
local reading = nil
if decision.ledger then
  local ledger = decision.ledger
  local live = math.max(1, (since(prefix .. ':live', minute - ledger.live_minutes)))
  local spent, oldest = since(prefix .. ':booked:' .. ledger.lane, minute - 60)
  reading = {live = live, spent = spent, capacity = ledger.capacity}
  if ledger.book and spent + live > ledger.capacity then
    local left = 60000000 * (oldest + 60 + 1 - minute)
    return reply({verdict = 'ledger_exhausted', wait = left, reading = reading, record = view(record)})
  end
end

-- From here on the act looks as if it had been done.
charge(open)
local counters = visit and visit.counters or {}
for place, counter in ipairs(counters) do
  if record and used(record, counter.name) >= counter.most then
    return reply({verdict = 'used_up', place = place, reading = reading, record = view(record)})
  end
end
local silent, exhausted = spend(decision.silent, record, stage)
local acts = record or fresh
local key = acts and records .. ':record:' .. acts.id
if fresh then
  redis.call('DEL', key)
end
local before = acts and acts.stage
if begin then
  local to = silent and begin.stage or decision.silent[exhausted].stage_when_exhausted
  acts.stage = bit.bor(bit.band(acts.stage, begin.sticky), to)
  acts.subject = begin.subject
  redis.call('HSET', key, 'owner', acts.owner, 'subject', acts.subject, 'stage', acts.stage, 'ends', number(now + begin.lifetime))
  redis.call('PEXPIRE', key, milliseconds(begin.lifetime))
elseif fresh then
  redis.call('HSET', key, 'stage', fresh.stage, 'ends', number(now + visit.or_begin.lifetime))
  redis.call('PEXPIRE', key, milliseconds(visit.or_begin.lifetime))
end
for _, counter in ipairs(counters) do
  redis.call('HINCRBY', key, 'used:' .. counter.name, 1)
end
if not silent then
  return reply({verdict = 'suppressed', place = exhausted, reading = reading, record = view(acts)})
end
charge(silent)
local worthwhile = not mark or bit.band(stage, mark.worthwhile) ~= 0
if mark then
  redis.call('HSET', key, 'mark:' .. mark.id, worthwhile and 'busy:' .. number(now) or 'done:' .. mark.otherwise)
end
if not worthwhile then
  return reply({verdict = 'charged', reading = reading, record = view(acts)})
end

-- What a settlement may undo.
local receipts, names = {budgets = {}, counters = {}, record = key}, {}
if begin then
  receipts.before, receipts.sticky = before, begin.sticky
end
for _, writes in ipairs({open, silent}) do
  for _, write in ipairs(writes) do
    if write.charge.receipt then
      local name = write.charge.budget
      table.insert(receipts.budgets, {name = name, key = write.key, interval = write.interval})
      if names[#names] ~= name then
        table.insert(names, name)
      end
    end
  end
end
if decision.makes_live then
  redis.call('HINCRBY', prefix .. ':live', minute, 1)
  -- The longest life of a secret that can be asked for is a day.
  redis.call('EXPIRE', prefix .. ':live', 86400 + 120)
  receipts.live = minute
  table.insert(names, 'live')
end
if reading and decision.ledger.book then
  local booked = prefix .. ':booked:' .. decision.ledger.lane
  redis.call('HINCRBY', booked, minute, reading.live)
  redis.call('EXPIRE', booked, 60 * (60 + 2))
  reading.spent = reading.spent + reading.live
  receipts.booking = {key = booked, minute = minute, price = reading.live}
  table.insert(names, 'booking')
end
for _, counter in ipairs(counters) do
  if counter.receipt then
    table.insert(receipts.counters, counter.name)
    table.insert(names, counter.name)
  end
end
if mark then
  -- With the time, so that a later try of the same thing is not taken for this one.
  receipts.mark = {name = mark.name, id = mark.id, state = 'busy:' .. number(now)}
  table.insert(names, mark.name)
end
if #names > 0 or begin then
  redis.call('SET', receipts_key, cjson.encode(receipts), 'PX', milliseconds(settle_within))
end
return reply({verdict = 'charged', reading = reading, record = view(acts), receipts = names})
