-- Decides whether an act may be done, and charges what it costs, see `Decision` in decision.rs. `Memory::decide` does the same in this order.
--
-- KEYS  1  the prefix of every key of the installation, in its hash tag: {password-reset}
--          (The other keys follow from it and from what the record holds, so they cannot be listed before; the tag keeps them in one slot.)
-- ARGV  1  the decision in MessagePack with named fields, see `Decision` in decision.rs; what is false, none or the default is left out
--       2  the prefix of records, which is another one after each start or failover of the server: {password-reset}:<run_id>:<replid>
--       3  the time in microseconds for tests; empty for the server's clock
--       4  how long distinct things are remembered, 5 how long receipts wait for their settlement, both in microseconds
--       6  the server's master_replid, as it was when the prefix of records was made: a failover that came since may have brought back what
--          was spent before it
-- Reply     what was decided, in MessagePack: verdict, the place of the budget or counter in its list (from 1), the name of a reserve, wait in
--           microseconds, outcome, record {id, subject, stage}, reading {live, spent, capacity, day}, receipts by name, level
--
-- Example   EVAL <script> 1 {password-reset} {"id":"0…1","open":[{"budget":"resets","subject":"all","rates":[{"seconds":3600,
--           "interval":6000000,"burst":3600000000}]}],"silent":[]}
--           {password-reset}:a:b '' 3600000000 900000000 b   → {"verdict":"charged"}, decision and reply in MessagePack
if #KEYS ~= 1 or #ARGV ~= 6 then
  return redis.error_reply('decide.lua takes 1 key and 6 arguments')
end
if string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') ~= ARGV[6] then
  return cmsgpack.pack({verdict = 'other_server'})
end
local prefix, decision, records = KEYS[1], cmsgpack.unpack(ARGV[1]), ARGV[2]
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

local level

local function reply(answer)
  if answer.receipts and #answer.receipts == 0 then
    answer.receipts = nil
  end
  answer.level = level()
  return cmsgpack.pack(answer)
end

local receipts_key = prefix .. ':receipts:' .. decision.id
if redis.call('EXISTS', receipts_key) == 1 then
  -- Settled before it arrived: whoever asked has given up.
  return cmsgpack.pack({verdict = 'settled'})
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

local function seen_key(subject, thing)
  return prefix .. ':distinct:' .. subject .. ':' .. thing
end

local function was_seen(key)
  return tonumber(redis.call('GET', key) or 0) > now
end

-- What charging all rates of a budget would come to: a list of writes, or nil with how long to wait until all of them have room.
local function spend_rates(subject, name, rates, receipt)
  local writes, wait = {}, 0
  for _, rate in ipairs(rates) do
    local key = prefix .. ':budget:' .. subject .. ':' .. name .. ':' .. number(rate.seconds)
    -- Further ahead than all of them spent lies only what a clock wrote that was set back since.
    local ahead = math.min(tonumber(redis.call('GET', key) or 0), now + rate.burst)
    local arrival = math.max(ahead, now) + rate.interval
    wait = math.max(wait, arrival - now - rate.burst)
    table.insert(writes, {name = name, key = key, arrival = arrival, interval = rate.interval, receipt = receipt})
  end
  if wait > 0 then
    return nil, wait
  end
  return writes
end

-- The same for charges: writes and things that count as seen, or nil with the place of the exhausted charge, how long to wait, and the name
-- of the budget where it is a reserve.
local function spend(charges, record, stage)
  local spending = {writes = {}, seen = {}}
  local function add(writes)
    for _, write in ipairs(writes) do
      table.insert(spending.writes, write)
    end
  end
  for place, charge in ipairs(charges) do
    local subject = charge.subject
    if subject == 'record' then
      subject = record and record.subject
    end
    local distinct = charge.distinct and subject and seen_key(subject, charge.distinct)
    local meant = not charge.stages or bit.band(stage, charge.stages) ~= 0
    if subject and not (distinct and was_seen(distinct)) and meant then
      local newcomers = charge.newcomers
      local network = newcomers and seen_key('all', newcomers.network)
      local writes, wait = spend_rates(subject, charge.budget, charge.rates, charge.receipt)
      if writes then
        add(writes)
      elseif network and not was_seen(network) then
        -- Whichever has room first.
        local reserved, later = spend_rates('all', newcomers.reserve, newcomers.rates, charge.receipt)
        if not reserved then
          return nil, place, math.min(wait, later), newcomers.reserve
        end
        add(reserved)
        reserved, later = spend_rates(newcomers.block, newcomers.per_block, newcomers.block_rates, charge.receipt)
        if not reserved then
          return nil, place, math.min(wait, later), newcomers.per_block
        end
        add(reserved)
      else
        return nil, place, wait
      end
      table.insert(spending.seen, distinct)
      table.insert(spending.seen, network)
    end
  end
  return spending
end

local function charge(spending)
  for _, write in ipairs(spending.writes) do
    redis.call('SET', write.key, number(write.arrival), 'PX', milliseconds(write.arrival - now))
  end
  for _, seen in ipairs(spending.seen) do
    redis.call('SET', seen, number(now + distinct_for), 'PX', milliseconds(distinct_for))
  end
end

-- The counts since a minute, the oldest first, and their sum; what is older is dropped.
local function since(key, first)
  local minutes, sum = {}, 0
  local bins = redis.call('HGETALL', key)
  for i = 1, #bins, 2 do
    local bin, count = tonumber(bins[i]), tonumber(bins[i + 1])
    if bin < first then
      redis.call('HDEL', key, bins[i])
    else
      sum = sum + count
      table.insert(minutes, {bin = bin, count = count})
    end
  end
  table.sort(minutes, function(one, other) return one.bin < other.bin end)
  return sum, minutes
end

-- How long until counts sum up to no more than a target.
local function until_below(minutes, sum, target)
  local last = minute
  for _, count in ipairs(minutes) do
    if sum <= target then
      break
    end
    sum = sum - count.count
    last = count.bin
  end
  return math.max(0, 60000000 * (last + 60 + 1 - minute))
end

level = function()
  local stored = decision.level and redis.call('GET', prefix .. ':level:' .. decision.level.name)
  if not stored then
    return nil
  end
  local height, at = string.match(stored, '^(%d+):(%d+)$')
  return math.max(0, height - math.floor(math.max(0, now - at) / decision.level.falls_after))
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
local open, place, wait, name = spend(decision.open, record, stage)
if not open then
  return reply({verdict = 'exhausted', place = place, name = name, wait = wait, record = view(record)})
end
local mark = visit and visit.mark
local marked = mark and record and record['mark:' .. mark.id]
-- A silent budget had no room for it before: it has cost its try and its booking, and is done when there is room.
local held = marked == 'held'
if marked and not held then
  local since_when = tonumber(string.match(marked, '^busy:(%d+)$'))
  if not since_when then
    charge(open)
    return reply({verdict = 'repeated', outcome = string.sub(marked, 6), record = view(record)})
  elseif not (mark.busy and since_when + mark.busy <= now) then
    charge(open)
    return reply({verdict = 'repeated', record = view(record)})
  end
end
local reading, booking = nil, nil
if decision.ledger and not held then
  local ledger = decision.ledger
  local live = math.max(1, (since(prefix .. ':live', minute - ledger.live_minutes)) + ledger.elsewhere)
  local all = prefix .. ':booked:' .. ledger.lane
  local of_network = all .. ':' .. ledger.network
  local spent, minutes = since(all, minute - 60)
  local own, own_minutes = since(of_network, minute - 60)
  local hour, of_day = math.floor(minute / 60), all .. ':day'
  reading = {live = live, spent = spent, capacity = ledger.capacity, day = (since(of_day, hour - 24))}
  if ledger.book then
    -- `Booking::limits` does the same.
    local share, limit = math.huge, ledger.capacity
    if own > 0 then
      share = math.max(math.floor(ledger.capacity / 10), 2 * live)
      limit = ledger.capacity - math.floor(ledger.capacity / 4)
    end
    if own + live > share then
      local left = until_below(own_minutes, own, math.max(0, share - live))
      return reply({verdict = 'share_exhausted', wait = left, reading = reading, record = view(record)})
    end
    if spent + live > limit then
      local left = until_below(minutes, spent, math.max(0, limit - 5 * live))
      return reply({verdict = 'ledger_exhausted', wait = left, reading = reading, record = view(record)})
    end
    -- The same price in every record, before anything else is decided about the guess.
    for _, key in ipairs({all, of_network}) do
      redis.call('HINCRBY', key, minute, live)
      redis.call('EXPIRE', key, 60 * (60 + 2))
    end
    redis.call('HINCRBY', of_day, hour, live)
    redis.call('EXPIRE', of_day, 3600 * (24 + 2))
    booking = {bins = {{all, minute}, {of_network, minute}, {of_day, hour}}, price = live}
    reading.spent = spent + live
    reading.day = reading.day + live
  end
end

-- From here on the act looks as if it had been done.
charge(open)

-- What a settlement may undo, and its names. The receipts of an act that was not done have no names for the caller: they can only be undone
-- together, for a caller that never heard of the decision.
local receipts, names = {budgets = {}, counters = {}, booking = booking}, {}
local function named(name)
  if names[#names] ~= name then
    table.insert(names, name)
  end
end
local function charged(spending)
  for _, write in ipairs(spending.writes) do
    if write.receipt then
      table.insert(receipts.budgets, {name = write.name, key = write.key, interval = write.interval, arrival = number(write.arrival)})
      named(write.name)
    end
  end
end
local function keep()
  if #names > 0 or receipts.booking or receipts.before or #receipts.counters > 0 or receipts.mark then
    redis.call('SET', receipts_key, cjson.encode(receipts), 'PX', milliseconds(settle_within))
  end
end

charged(open)
local counters = visit and not held and visit.counters or {}
for place, counter in ipairs(counters) do
  if record and used(record, counter.name) >= counter.most then
    keep()
    return reply({verdict = 'used_up', place = place, reading = reading, record = view(record)})
  end
end
local silent, exhausted = spend(decision.silent, record, stage)
local acts = record or fresh
local key = acts and records .. ':record:' .. acts.id
receipts.record = key
if fresh then
  redis.call('DEL', key)
end
if begin then
  receipts.before = acts.stage
  local to = silent and begin.stage or decision.silent[exhausted].stage_when_exhausted or 0
  acts.stage = bit.bor(bit.band(acts.stage, begin.sticky), to)
  receipts.after = acts.stage
  acts.subject = begin.subject
  redis.call('HSET', key, 'owner', acts.owner, 'subject', acts.subject, 'stage', acts.stage, 'ends', number(now + begin.lifetime))
  redis.call('PEXPIRE', key, milliseconds(begin.lifetime))
elseif fresh then
  redis.call('HSET', key, 'stage', fresh.stage, 'ends', number(now + visit.or_begin.lifetime))
  redis.call('PEXPIRE', key, milliseconds(visit.or_begin.lifetime))
end
for _, counter in ipairs(counters) do
  redis.call('HINCRBY', key, 'used:' .. counter.name, 1)
  if counter.receipt then
    table.insert(receipts.counters, counter.name)
  end
end
if not silent then
  if mark and not held then
    redis.call('HSET', key, 'mark:' .. mark.id, 'held')
    receipts.mark = {name = mark.name, id = mark.id, state = 'held'}
  end
  keep()
  return reply({verdict = 'suppressed', place = exhausted, reading = reading, record = view(acts)})
end
charge(silent)
charged(silent)
local worthwhile = not mark or bit.band(stage, mark.worthwhile) ~= 0
if mark then
  -- With the time, so that a later try of the same thing is not taken for this one.
  local state = worthwhile and 'busy:' .. number(now) or 'done:' .. mark.otherwise
  redis.call('HSET', key, 'mark:' .. mark.id, state)
  receipts.mark = {name = mark.name, id = mark.id, state = state}
end
if not worthwhile then
  keep()
  return reply({verdict = 'charged', reading = reading, record = view(acts)})
end
if decision.makes_live then
  redis.call('HINCRBY', prefix .. ':live', minute, 1)
  -- The longest life of a secret that can be asked for is a day.
  redis.call('EXPIRE', prefix .. ':live', 86400 + 120)
  receipts.live = minute
  named('live')
end
if booking then
  named('booking')
end
for _, counter in ipairs(receipts.counters) do
  named(counter)
end
if mark then
  named(mark.name)
end
keep()
return reply({verdict = 'charged', reading = reading, record = view(acts), receipts = names})
