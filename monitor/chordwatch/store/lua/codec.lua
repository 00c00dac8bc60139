-- The parts of this folder are one script: codec, names, counts, rows, tasks, chords, index, sweep, apply.
-- KEYS[1] is `<prefix>m`; every other key is built from it and so lies in the same slot of a cluster.
-- This part: bytes to tables and back. Layouts are those of rows.py, which reads what is written here.
-- Times are Unix milliseconds. In a row they count from the chord's base, plus 1, so that 0 means unset.

local lib = ...

local NO_ID = string.rep('\0', 16)
local ROW = {[3] = '>c16BBBI3I3I3I3', [4] = '>c16BBBI4I4I4I4'}
local ROW_SIZE = {[3] = 31, [4] = 35}

local prefix = string.sub(KEYS[1], 1, -2)
local floor, band, bor = math.floor, bit.band, bit.bor
local clock = redis.call('TIME')
local now = clock[1] * 1000 + floor(clock[2] / 1000)
local dropped = {}
local touched = {}

local function drop(reason)
  dropped[reason] = (dropped[reason] or 0) + 1
end

-- Run a command; a key of a foreign type is replaced and counted, so that it cannot stop a batch.
local function call(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    if not string.find(reply.err, 'WRONGTYPE', 1, true) and not string.find(reply.err, 'not an integer', 1, true) then
      lib.fatal = reply.err
      error(lib.fatal)
    end
    redis.call('DEL', key)
    drop('corrupt')
    reply = redis.call(command, key, ...)
    redis.call('EXPIRE', key, 30 * 86400)
  end
  return reply
end

-- Run a command on a key that all chords share: it lives on for a month.
local function shared(command, name, ...)
  touched[name] = true
  return call(command, prefix .. name, ...)
end

-- Run a reading command on such a key.
local function read(command, name, ...)
  return call(command, prefix .. name, ...)
end

-- Arithmetic instead of math.floor and bit.band where every record passes: a call costs more than the rest.
local function ms(seconds)
  if not (seconds >= 0 and seconds < 1e11) then error('not a time') end
  local time = seconds * 1000 + 0.5
  return time - time % 1
end

-- Cut text to so many characters of UTF-8, surrogates included.
local function cut(text)
  if #text <= CUT then return text end
  local at = 1
  for _ = 1, CUT do
    local _, last = string.find(text, '^[%z\1-\255][\128-\191]*', at)
    if not last then return text end
    at = last + 1
  end
  return string.sub(text, 1, at - 1)
end

local function chord_key(gid) return prefix .. 'c:' .. gid end
local function detail_key(gid) return prefix .. 'd:' .. gid end

local function has(chord, flag) return band(chord.flags, flag) ~= 0 end
local function set(chord, flag) chord.flags = bor(chord.flags, flag) end
local function clear(chord, flag) chord.flags = band(chord.flags, bit.bnot(flag)) end

-- Return a chord with everything unset. At most 32 fields, in one constructor: Lua then allocates the table once.
-- `cold` is msgpack until somebody asks for it; `low` and `high` are the first and last index of `rows`.
local function chord(gid, base, page)
  return {
    gid = gid, base = base, size = 0, added = 0, counted = 0, failed = 0, opened = 0, last = 0, progressed = 0,
    touched = 0, segment = 0, look = 0, number = 0, label = 0, flags = 0, state = PLANNED, top = 0, extra = 0,
    pairs = '', workers = '', page = page, cold = '', rows = {}, low = false, high = false,
    bytes_before = 0, old_state = PLANNED, old_progressed = 0,
  }
end

local function new_chord(gid, first)
  local c = chord(gid, floor(first / 1000) * 1000 - 1000000, '\3')
  c.cold = {}
  return c
end

local function decode_chord(gid, value)
  local c = chord(gid, 0, '')
  local version, pairs_count, workers_count, cold_length, at
  version, c.base, c.size, c.added, c.counted, c.failed, c.opened, c.last, c.progressed, c.touched, c.segment, c.look,
    c.number, c.label, c.flags, c.state, c.top, c.extra, pairs_count, workers_count, cold_length,
    at = struct.unpack(HEAD, value)
  local workers_at = at + 4 * pairs_count
  local cold_at = workers_at + 2 * workers_count
  local page_at = cold_at + cold_length
  if version ~= HEAD_VERSION or page_at > #value then error('not a chord') end
  c.pairs = string.sub(value, at, workers_at - 1)
  c.workers = string.sub(value, workers_at, cold_at - 1)
  c.cold = string.sub(value, cold_at, page_at - 1)
  c.page = string.sub(value, page_at)
  c.bytes_before, c.old_state, c.old_progressed = #value + c.extra, c.state, c.progressed
  return c
end

local function encode_chord(c)
  local cold = c.cold
  if type(cold) == 'table' then cold = cmsgpack.pack(cold) end
  local head = struct.pack(HEAD, HEAD_VERSION, c.base, c.size, c.added, c.counted, c.failed, c.opened, c.last,
    c.progressed, floor(now / 1000), c.segment, c.look, c.number, c.label, c.flags, c.state, c.top, c.extra,
    #c.pairs / 4, #c.workers / 2, #cold)
  return head .. c.pairs .. c.workers .. cold .. c.page
end

-- The facts that are seldom needed stay packed until then.
local function cold(c)
  if type(c.cold) == 'string' then
    local ok, facts = pcall(cmsgpack.unpack, c.cold)
    if not ok or type(facts) ~= 'table' then
      drop('corrupt')
      facts = {}
    end
    c.cold = facts
  end
  return c.cold
end

local function load_chord(gid)
  local value = call('GET', chord_key(gid))
  if not value then return nil end
  local ok, c = pcall(decode_chord, gid, value)
  if ok then return c end
  call('DEL', chord_key(gid))
  call('DEL', detail_key(gid))
  drop('corrupt')
  return nil
end

lib.NO_ID = NO_ID
lib.ROW, lib.ROW_SIZE = ROW, ROW_SIZE
lib.band, lib.bor = band, bor
lib.call, lib.chord_key, lib.clear, lib.clock, lib.cold, lib.cut = call, chord_key, clear, clock, cold, cut
lib.detail_key, lib.drop, lib.dropped, lib.encode_chord = detail_key, drop, dropped, encode_chord
lib.floor, lib.has, lib.load_chord, lib.ms, lib.new_chord, lib.now = floor, has, load_chord, ms, new_chord, now
lib.prefix, lib.read, lib.set, lib.shared, lib.touched = prefix, read, set, shared, touched
lib.fatal = false
