-- Segments: the chords of some hours share one table of names, and one index from any task id to its chord.
-- `s:<segment>` lists packed group ids; a chord's number is its place in it.
-- `i:<segment>:<bucket>` holds `fingerprint * 65536 + number - 2^31` of each id: sets of integers stay compact.
-- `n:<segment>` maps `=text` to a number, and `#number` to the text.
-- `m` knows the current segment (`cur`, `tasks`, `since`) and of each the living chords (`g<n>`) and its end (`u<n>`).

local lib = ...
local call, cold, cut, floor, now, prefix = lib.call, lib.cold, lib.cut, lib.floor, lib.now, lib.prefix
local read, shared = lib.read, lib.shared

local finished_retention, open_retention = ARGV[2] * 1000, ARGV[3] * 1000
local segments = {}
-- The segment asked for last, and what its numbers of the batch's strings are; -1 is the node.
local latest, latest_numbers
lib.strings, lib.node = {}, false

local function load_meta()
  local found = read('HMGET', 'm', 'cur', 'tasks', 'since', 'bytes', 'chords')
  lib.meta = {}
  for at, name in ipairs({'cur', 'tasks', 'since', 'bytes', 'chords'}) do
    lib.meta[name] = tonumber(found[at]) or 0
  end
end

local function save_meta()
  local fields = {'cur', lib.meta.cur, 'tasks', lib.meta.tasks, 'since', lib.meta.since,
    'bytes', math.max(lib.meta.bytes, 0), 'chords', math.max(lib.meta.chords, 0)}
  for number, segment in pairs(segments) do
    if segment.changed then
      fields[#fields + 1], fields[#fields + 2] = 'g' .. number, segment.living
      fields[#fields + 1], fields[#fields + 2] = 'u' .. number, segment.ends
    end
  end
  for at, value in ipairs(fields) do
    if type(value) == 'number' then fields[at] = string.format('%d', value) end
  end
  shared('HSET', 'm', unpack(fields))
end

local function segment_of(number)
  local segment = segments[number]
  if not segment then
    local found = read('HMGET', 'm', 'g' .. number, 'u' .. number)
    segment = {
      living = tonumber(found[1]) or 0, ends = tonumber(found[2]) or 0, numbers = {}, texts = {}, string_numbers = {},
    }
    segments[number] = segment
  end
  return segment
end

-- Let the segment live at least until then.
local function keep_segment(number, until_ms)
  if until_ms > segment_of(number).ends then lib.extend_segment(number, until_ms) end
end

-- Enter a chord into the current segment; ids that come later are found through this one.
local function register(c)
  local old = now - lib.meta.since > finished_retention / 4
  if lib.meta.cur == 0 or lib.meta.tasks >= SEGMENT_TASKS or old then lib.open_segment() end
  local key = prefix .. 's:' .. lib.meta.cur
  local number = call('RPUSH', key, c.gid)
  local segment = segment_of(lib.meta.cur)
  if number == 1 then call('PEXPIREAT', key, string.format('%d', segment.ends)) end
  if number >= SEGMENT_CHORDS then lib.meta.tasks = SEGMENT_TASKS end
  segment.living, segment.changed = segment.living + 1, true
  if c.segment == 0 then
    c.segment = lib.meta.cur
  else
    local facts = cold(c)
    facts.g = facts.g or {}
    facts.g[#facts.g + 1] = lib.meta.cur
  end
  c.look, c.number = lib.meta.cur, number
end

-- Let the chord be found by this id.
local function index_id(c, id)
  if c.look ~= lib.meta.cur or lib.meta.tasks >= SEGMENT_TASKS then register(c) end
  lib.meta.tasks = lib.meta.tasks + 1
  if #id ~= 16 then id = string.sub(redis.sha1hex(id), 1, 16) end
  local w, x, y, z = struct.unpack('>I4I4I4I4', id)
  local hash = (w + x * 3 + y * 5 + z * 7) % HASH_PRIME
  local bucket = hash % BUCKETS
  local entry = floor(hash / BUCKETS) * 65536 + c.number - 2147483648
  call('SADD', prefix .. 'i:' .. c.look .. ':' .. bucket, string.format('%d', entry))
  c.extra = c.extra + 6
end

-- Return the number of a text in the chord's segment; 0 stands for none.
local function number_of(c, text)
  if not text then return 0 end
  local segment = segment_of(c.segment)
  local number = segment.numbers[text]
  if number then return number end
  local key, stored = prefix .. 'n:' .. c.segment, cut(text)
  number = tonumber(call('HGET', key, '=' .. stored))
  if not number then
    number = call('HINCRBY', key, '#', 1)
    if number > 65000 then return 0 end
    call('HSET', key, '=' .. stored, number, '#' .. number, stored)
    if number == 1 then call('PEXPIREAT', key, string.format('%d', segment.ends)) end
    lib.meta.bytes = lib.meta.bytes + 2 * #stored + 40
  end
  segment.numbers[text] = number
  return number
end

-- Return the number of the name that a record gives as a place in the batch's strings (from 0).
local function string_number(c, at)
  if not at then return 0 end
  local numbers = latest_numbers
  if c.segment ~= latest then
    numbers = segment_of(c.segment).string_numbers
    latest, latest_numbers = c.segment, numbers
  end
  local number = numbers[at]
  if not number then
    number = number_of(c, at < 0 and lib.node or lib.strings[at + 1])
    numbers[at] = number
  end
  return number
end

-- Forget the batch's strings, because another's come.
local function forget_strings()
  latest = nil
  for _, segment in pairs(segments) do segment.string_numbers = {} end
end

local function text_of(segment_number, number)
  if number == 0 then return nil end
  local texts = segment_of(segment_number).texts
  if texts[number] == nil then
    texts[number] = call('HGET', prefix .. 'n:' .. segment_number, '#' .. number)
  end
  return texts[number] or nil
end

lib.finished_retention, lib.index_id, lib.keep_segment = finished_retention, index_id, keep_segment
lib.load_meta, lib.number_of, lib.open_retention, lib.register = load_meta, number_of, open_retention, register
lib.save_meta, lib.segment_of, lib.segments, lib.string_number = save_meta, segment_of, segments, string_number
lib.text_of, lib.forget_strings = text_of, forget_strings
