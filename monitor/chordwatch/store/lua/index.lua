-- Indexes of chords, and the writing of one: `open` and `o:<callback>` (sorted by last progress and by opening),
-- `settle` (finished a moment ago), lists `finished` and `summary` (group id, segments, how many these are, and the
-- time when the chord is forgotten).

local lib = ...
local call, chord_key, clear, cold = lib.call, lib.chord_key, lib.clear, lib.cold
local detail_key, encode_chord, floor, has, now = lib.detail_key, lib.encode_chord, lib.floor, lib.has, lib.now
local set, shared, finished_retention = lib.set, lib.shared, lib.finished_retention
local keep_segment, open_retention, callback_label = lib.keep_segment, lib.open_retention, lib.callback_label
local count_started, write_rows = lib.count_started, lib.write_rows

local function seconds(time) return string.format('%.3f', time / 1000) end

-- Return how long, in milliseconds, Redis keeps the chord: longer than the sweep lets it live, also one that lags.
local function time_to_live(c)
  local ttl = finished_retention
  if c.state <= OPEN then
    local eta = has(c, ETA) and cold(c).y or 0
    ttl = math.max(eta - now, 0) + open_retention
  end
  return floor(ttl * 1.25 + SWEEP_LAG)
end

local function forget_open(c)
  if has(c, INDEXED) then
    shared('ZREM', 'open', c.gid)
    local facts = cold(c)
    if facts.o then shared('ZREM', 'o:' .. facts.o, c.gid) end
    facts.o = nil
    clear(c, INDEXED)
    lib.meta.bytes = lib.meta.bytes - OPEN_BYTES
  end
end

local function index_open(c)
  if not has(c, INDEXED) or floor(c.old_progressed / 1000) ~= floor(c.progressed / 1000) then
    shared('ZADD', 'open', seconds(c.progressed > 0 and c.progressed or now), c.gid)
    if not has(c, INDEXED) then lib.meta.bytes = lib.meta.bytes + OPEN_BYTES end
    set(c, INDEXED)
  end
  if c.state == OPEN and (c.old_state ~= OPEN or c.reopened) then
    local facts, label = cold(c), callback_label(c)
    if facts.o and facts.o ~= label then shared('ZREM', 'o:' .. facts.o, c.gid) end
    shared('ZADD', 'o:' .. label, seconds(c.opened > 0 and c.opened or now), c.gid)
    facts.o = label
  end
end

local function reindex(c)
  if c.flags % 2 == ACTIVE and not has(c, STARTED) then
    set(c, STARTED)
    count_started(c)
  end
  if c.state <= OPEN then return index_open(c) end
  forget_open(c)
  if c.old_state <= OPEN then
    shared('ZADD', 'settle', 'NX', seconds(now + SETTLE_MS), c.gid)
    cold(c).s = nil
  end
end

local function write_detail(c, ttl)
  local fields, many = {}, 0
  for field, value in pairs(c.changed or {}) do
    fields[many + 1], fields[many + 2] = field, value
    many = many + 2
    if many >= 1000 then
      call('HSET', detail_key(c.gid), unpack(fields))
      fields, many = {}, 0
    end
  end
  if many > 0 then call('HSET', detail_key(c.gid), unpack(fields)) end
  call('PEXPIRE', detail_key(c.gid), ttl)
end

local function write_chord(c)
  if c.details then lib.save_tasks(c) end
  write_rows(c)
  local ttl = time_to_live(c)
  keep_segment(c.segment, now + ttl)
  if c.look ~= c.segment then
    for _, number in ipairs(cold(c).g) do keep_segment(number, now + ttl) end
  end
  ttl = string.format('%d', ttl)
  if c.changed then set(c, DETAIL) end
  if has(c, DETAIL) then write_detail(c, ttl) end
  local value = encode_chord(c)
  call('SET', chord_key(c.gid), value, 'PX', ttl)
  if c.bytes_before == 0 then
    lib.meta.chords, lib.meta.bytes = lib.meta.chords + 1, lib.meta.bytes + CHORD_BYTES
  end
  lib.meta.bytes = lib.meta.bytes + #value + c.extra - c.bytes_before
end

local function remove_chord(c)
  forget_open(c)
  shared('ZREM', 'settle', c.gid)
  call('UNLINK', chord_key(c.gid), detail_key(c.gid))
  lib.release(c)
  lib.meta.chords, lib.meta.bytes = lib.meta.chords - 1, lib.meta.bytes - CHORD_BYTES - c.bytes_before
  if lib.meta.chords <= 0 then lib.meta.chords = 0 end
end

-- A chord's key was gone before the sweep came: take the mean away.
local function forget_vanished(numbers)
  for _, number in ipairs(numbers or {}) do lib.leave_segment(number) end
  if lib.meta.chords > 0 then
    lib.meta.bytes = lib.meta.bytes - lib.meta.bytes / lib.meta.chords
    lib.meta.chords = lib.meta.chords - 1
  end
end

lib.forget_vanished, lib.reindex = forget_vanished, reindex
lib.remove_chord, lib.seconds, lib.write_chord = remove_chord, seconds, write_chord
