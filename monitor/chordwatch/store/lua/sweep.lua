-- What each call does besides: settle chords that finished a moment ago, forget those whose time is over, keep the
-- store's size. A few at a time, so that no call takes long.

local lib = ...
local ROW, ROW_SIZE = lib.ROW, lib.ROW_SIZE
local band, call, clear, clock = lib.band, lib.call, lib.clear, lib.clock
local cold, detail_key, floor, has, load_chord = lib.cold, lib.detail_key, lib.floor, lib.has, lib.load_chord
local now, read, set, shared, finished_retention = lib.now, lib.read, lib.set, lib.shared, lib.finished_retention
local open_retention, callback_label, count = lib.open_retention, lib.callback_label, lib.count
local count_waiting, page_of, work_out = lib.count_waiting, lib.page_of, lib.work_out
local forget_vanished, remove_chord = lib.forget_vanished, lib.remove_chord
local seconds, write_chord, delete_segment = lib.seconds, lib.write_chord, lib.delete_segment

-- Remember the chord as the latest one of its bucket, beside the bucket's count, if its trace is one that is exported.
local function keep_exemplar(c, span, ...)
  local trace = cold(c).t
  if not trace or string.byte(trace, TRACE_LENGTH) % 2 == 0 or #c.gid > MAX_EXEMPLAR_ID then return end
  shared('HSET', 'k', cmsgpack.pack({'g', ...}), cmsgpack.pack({c.gid, string.sub(trace, 1, 16), floor(span), now}))
end

-- Observe a span of milliseconds; a negative one counts as 0, because clocks differ. It is counted under its upper
-- bound, not under a bucket's number: who reads, or writes later, may have other bounds.
local function observe(c, histogram, callback, span)
  local upper = math.huge
  span = math.max(span, 0)
  for _, bound in ipairs(cmsgpack.unpack(ARGV[5])) do
    if span <= bound * 1000 then
      upper = bound
      break
    end
  end
  count(1, 'b', histogram, callback, upper)
  count(span, 'm', histogram, callback)
  keep_exemplar(c, span, histogram, callback, upper)
end

-- Return the median finish (milliseconds after the base) of the header tasks in up to eight pages.
local function median_finish(c)
  local finishes = {}
  local pages = floor((c.top + PAGE_ROWS - 1) / PAGE_ROWS)
  local step = math.max(1, math.ceil(pages / SAMPLED_PAGES))
  for number = 0, pages - 1, step do
    local page = page_of(c, number)
    local width = string.byte(page)
    for at = 2, #page - ROW_SIZE[width] + 1, ROW_SIZE[width] do
      local _, flags, _, _, _, _, _, finish = struct.unpack(ROW[width], page, at)
      if band(flags, COUNTED) ~= 0 and finish > 0 then finishes[#finishes + 1] = finish end
    end
  end
  table.sort(finishes)
  local middle = floor((#finishes + 1) / 2)
  if #finishes == 0 then return nil end
  if #finishes % 2 == 1 then return finishes[middle] - 1 end
  return (finishes[middle] + finishes[middle + 1]) / 2 - 1
end

-- Return when the callback was first published and first started, in Unix milliseconds.
local function callback_times(c)
  local published, started
  for _, task in pairs(cold(c).b or {}) do
    for _, attempt in ipairs(task.o == CALLBACK and task.a or {}) do
      local first, began = attempt[5][1], attempt[7][1]
      if first then published = math.min(published or first[1], first[1]) end
      if began then started = math.min(started or began[1], began[1]) end
    end
  end
  return published and published + c.base, started and started + c.base
end

-- Return when the barrier ended, 0 where nobody knows. What publishes, and what ends a part, is noted after it was
-- done: a callback that started has ended the barrier, whatever was noted later.
local function barrier_end(counted, published, started)
  local ended = counted > 0 and counted or math.huge
  ended = math.min(ended, published or math.huge, started or math.huge)
  return ended < math.huge and ended or 0
end

local function observe_chord(c, finish)
  local callback = callback_label(c)
  local published, started = callback_times(c)
  local complete = c.size > 0 and c.counted >= c.size - 1 + c.added
  local barrier = barrier_end(c.last, published, started)
  count(1, 'f', callback, c.state == WON and 'succeeded' or 'failed')
  if c.state == WON and c.opened > 0 then observe(c, 'duration', callback, finish - c.opened) end
  if c.state ~= WON and not complete then return end
  if barrier > 0 and c.opened > 0 then observe(c, 'barrier', callback, barrier - c.opened) end
  if barrier > 0 and started then observe(c, 'callback_wait', callback, started - barrier) end
  local median = not has(c, DROPPED) and median_finish(c)
  if median and c.last > 0 then observe(c, 'straggler', callback, c.last - c.base - median) end
end

local function settle_chord(gid)
  local c = load_chord(gid)
  if not c then return forget_vanished() end
  if c.state <= OPEN then return end
  if not has(c, SETTLED) then
    local _, finish = work_out(c)
    if cold(c).u then count_waiting(c) end
    observe_chord(c, finish)
    set(c, SETTLED)
  end
  write_chord(c)
  local numbers = lib.segments_of(c)
  local entry = {gid}
  for _, number in ipairs(numbers) do entry[#entry + 1] = struct.pack('>I4', number) end
  entry[#entry + 1] = struct.pack('>BI6', #numbers, now + finished_retention)
  shared('RPUSH', 'finished', table.concat(entry))
end

local function settle(limit)
  for _, gid in ipairs(read('ZRANGEBYSCORE', 'settle', '-inf', seconds(now), 'LIMIT', 0, limit)) do
    shared('ZREM', 'settle', gid)
    settle_chord(gid)
  end
end

local function listed(entry)
  local many, time = struct.unpack('>BI6', entry, #entry - TIME_LENGTH)
  local at, numbers = #entry - TIME_LENGTH - 4 * many, {}
  for place = 1, many do numbers[place] = struct.unpack('>I4', entry, at + 4 * (place - 1)) end
  return string.sub(entry, 1, at - 1), time, numbers
end

-- Forget chords at the head of a list whose time is over; one that goes on again is left to the open ones.
local function forget_due(list, limit)
  local due = 0
  for _, entry in ipairs(read('LRANGE', list, 0, limit - 1)) do
    local ok, gid, time, numbers = pcall(listed, entry)
    if ok and time > now then break end
    due = due + 1
    local c = ok and load_chord(gid)
    if c and c.state > OPEN then remove_chord(c) elseif not c then forget_vanished(ok and numbers) end
  end
  if due > 0 then shared('LTRIM', list, due, -1) end
end

local function forget_open_one(gid)
  local c = load_chord(gid)
  if not c then
    shared('ZREM', 'open', gid)
    for _, label in ipairs(read('SMEMBERS', 'callbacks')) do shared('ZREM', 'o:' .. label, gid) end
    shared('ZREM', 'o:unknown', gid)
    shared('ZREM', 'o:other', gid)
    return forget_vanished()
  end
  local eta = has(c, ETA) and cold(c).y or 0
  if math.max(c.touched * 1000, eta) + open_retention < now then remove_chord(c) end
end

-- Look at a few open chords from a random place on, so that none that has to stay hides those behind it.
local function probe_open(limit)
  local total = read('ZCARD', 'open')
  if total == 0 then return end
  local from = clock[2] % total
  for _, gid in ipairs(read('ZRANGE', 'open', from, from + limit - 1)) do forget_open_one(gid) end
end

-- Forget segments whose keys Redis has dropped.
local function forget_segments()
  local found = read('HGETALL', 'm')
  for at = 1, #found, 2 do
    local number = string.match(found[at], '^u(%d+)$')
    if number and tonumber(found[at + 1]) < now then delete_segment(tonumber(number)) end
  end
end

local function drop_detail(c)
  c.extra = 0
  c.page, c.rows, c.details, c.changed = '\3', {}, false, false
  call('UNLINK', detail_key(c.gid))
  clear(c, DETAIL)
  clear(c, LOOSE)
  set(c, DROPPED)
  write_chord(c)
end

local function evict_from(list, visit)
  local entry = shared('LPOP', list)
  if not entry then return false end
  local ok, gid, _, numbers = pcall(listed, entry)
  local c = ok and load_chord(gid)
  if c and c.state > OPEN then visit(c, entry) elseif not c then forget_vanished(ok and numbers) end
  return true
end

local function evict_one()
  local taken = evict_from('finished', function(c, entry)
    drop_detail(c)
    shared('RPUSH', 'summary', entry)
    count(1, 'e', 'detail')
  end) or evict_from('summary', function(c)
    remove_chord(c)
    count(1, 'e', 'summary')
  end)
  if taken then return true end
  local gid = read('ZRANGE', 'open', 0, 0)[1]
  if not gid then return false end
  local c = load_chord(gid)
  if c then
    remove_chord(c)
    count(1, 'e', 'open')
  else
    forget_open_one(gid)
  end
  return true
end

-- Keep the store's size: the oldest detail goes first.
local function evict()
  local evictions = 0
  while lib.meta.bytes > tonumber(ARGV[4]) and evictions < EVICTIONS and evict_one() do evictions = evictions + 1 end
end

lib.evict, lib.forget_due, lib.forget_segments, lib.probe_open = evict, forget_due, forget_segments, probe_open
lib.settle = settle
