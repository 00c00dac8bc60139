-- Indexes of chords, and the writing of one: `open` and `o:<callback>` (sorted by last progress and by opening),
-- `settle` (finished a moment ago), lists `finished` and `summary` (`group id, time when it is forgotten`).

local SETTLE_MS, CHORD_BYTES = 1000, 220
local TIME_LENGTH = 6

local function seconds(time) return string.format('%.3f', time / 1000) end

-- Return how long, in milliseconds, Redis keeps the chord: a little longer than the sweep lets it live.
local function time_to_live(c)
  local ttl = finished_retention
  if c.state <= OPEN then
    local eta = has(c, ETA) and cold(c).y or 0
    ttl = math.max(eta - now, 0) + open_retention
  end
  return floor(ttl * 1.25 + 1000)
end

local function forget_open(c)
  if has(c, INDEXED) then
    shared('ZREM', 'open', c.gid)
    local facts = cold(c)
    if facts.o then shared('ZREM', 'o:' .. facts.o, c.gid) end
    facts.o, c.cold_changed = nil, true
    clear(c, INDEXED)
  end
end

local function index_open(c, before)
  if not has(c, INDEXED) or floor(before.progressed / 1000) ~= floor(c.progressed / 1000) then
    shared('ZADD', 'open', seconds(c.progressed > 0 and c.progressed or now), c.gid)
    set(c, INDEXED)
  end
  if c.state == OPEN and (before.state ~= OPEN or before.opened ~= c.opened or before.label ~= c.label) then
    local facts, label = cold(c), callback_label(c)
    if facts.o and facts.o ~= label then shared('ZREM', 'o:' .. facts.o, c.gid) end
    shared('ZADD', 'o:' .. label, seconds(c.opened > 0 and c.opened or now), c.gid)
    facts.o, c.cold_changed = label, true
  end
end

local function reindex(c, before)
  if has(c, ACTIVE) and not has(c, STARTED) then
    set(c, STARTED)
    count_started(c)
  end
  if c.state <= OPEN then return index_open(c, before) end
  forget_open(c)
  if before.state <= OPEN then
    shared('ZADD', 'settle', 'NX', seconds(now + SETTLE_MS), c.gid)
    cold(c).s, c.cold_changed = nil, true
  end
end

local function write_chord(c)
  local extra = c.extra_before or 0
  save_tasks(c)
  write_rows(c)
  local ttl = string.format('%d', time_to_live(c))
  keep_segment(c.segment, now + ttl)
  for _, number in ipairs(c.look ~= c.segment and cold(c).g or {}) do keep_segment(number, now + ttl) end
  local fields = {}
  for field, value in pairs(c.changed) do
    fields[#fields + 1], fields[#fields + 2] = field, value
    set(c, DETAIL)
    if #fields >= 1000 then
      call('HSET', detail_key(c.gid), unpack(fields))
      fields = {}
    end
  end
  if #fields > 0 then call('HSET', detail_key(c.gid), unpack(fields)) end
  if has(c, DETAIL) then call('PEXPIRE', detail_key(c.gid), ttl) end
  local value = encode_chord(c)
  call('SET', chord_key(c.gid), value, 'PX', ttl)
  if c.is_new then
    meta.chords, meta.bytes = meta.chords + 1, meta.bytes + CHORD_BYTES
  end
  meta.bytes = meta.bytes + #value - (c.is_new and 0 or c.old_length) + c.extra - extra
end

local function remove_chord(c)
  forget_open(c)
  shared('ZREM', 'settle', c.gid)
  call('UNLINK', chord_key(c.gid), detail_key(c.gid))
  release(c)
  meta.chords, meta.bytes = meta.chords - 1, meta.bytes - CHORD_BYTES - c.old_length - c.extra
  if meta.chords <= 0 then meta.chords = 0 end
end

-- A chord's key was gone before the sweep came: take the mean away.
local function forget_vanished()
  if meta.chords > 0 then
    meta.bytes = meta.bytes - meta.bytes / meta.chords
    meta.chords = meta.chords - 1
  end
end
