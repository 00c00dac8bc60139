-- Segments: the chords of some hours share one table of names, and one index from any task id to its chord.
-- `s:<segment>` lists packed group ids; a chord's number is its place in it.
-- `i:<segment>:<bucket>` holds `fingerprint * 65536 + number - 2^31` of each id: sets of integers stay compact.
-- `n:<segment>` maps `=text` to a number, and `#number` to the text.
-- `m` knows the current segment (`cur`, `tasks`, `since`) and of each the living chords (`g<n>`) and its end (`u<n>`).

local BUCKETS, SEGMENT_TASKS, SEGMENT_CHORDS, SEGMENT_BYTES = 256, 65536, 65000, 50000
local HASH_PRIME = 16777213
local DAY = 86400000
local finished_retention, open_retention = ARGV[2] * 1000, ARGV[3] * 1000
local meta, segments = nil, {}
local strings, node = {}, nil

local function load_meta()
  local found = shared('HMGET', 'm', 'cur', 'tasks', 'since', 'bytes', 'chords')
  meta = {}
  for at, name in ipairs({'cur', 'tasks', 'since', 'bytes', 'chords'}) do meta[name] = tonumber(found[at]) or 0 end
end

local function save_meta()
  local fields = {'cur', meta.cur, 'tasks', meta.tasks, 'since', meta.since,
    'bytes', math.max(meta.bytes, 0), 'chords', math.max(meta.chords, 0)}
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
    local found = shared('HMGET', 'm', 'g' .. number, 'u' .. number)
    segment = {living = tonumber(found[1]) or 0, ends = tonumber(found[2]) or 0, numbers = {}, texts = {}}
    segments[number] = segment
  end
  return segment
end

local function each_segment_key(number, visit)
  visit(prefix .. 's:' .. number)
  visit(prefix .. 'n:' .. number)
  for bucket = 0, BUCKETS - 1 do visit(prefix .. 'i:' .. number .. ':' .. bucket) end
end

-- Let the segment live at least until then; seldom, because it is given a day more.
local function keep_segment(number, until_ms)
  local segment = segment_of(number)
  if until_ms <= segment.ends then return end
  segment.ends, segment.changed = until_ms + DAY, true
  each_segment_key(number, function(key) call('PEXPIREAT', key, string.format('%d', segment.ends)) end)
end

local function open_segment()
  meta.cur, meta.tasks, meta.since = meta.cur + 1, 0, now
  local number = meta.cur
  segments[number] = {living = 0, ends = 0, numbers = {}, texts = {}, changed = true}
  -- Number 0 is no chord's: with it every bucket exists, and has its end, from the start.
  for bucket = 0, BUCKETS - 1 do call('SADD', prefix .. 'i:' .. number .. ':' .. bucket, '-2147483648') end
  call('HSET', prefix .. 'n:' .. number, '#', 0)
  keep_segment(number, now + math.max(open_retention, finished_retention))
  meta.bytes = meta.bytes + SEGMENT_BYTES
end

local function delete_segment(number)
  each_segment_key(number, function(key) call('UNLINK', key) end)
  segments[number] = nil
  shared('HDEL', 'm', 'g' .. number, 'u' .. number)
  meta.bytes = meta.bytes - SEGMENT_BYTES
  if number == meta.cur then meta.tasks = SEGMENT_TASKS end
end

-- Enter a chord into the current segment; ids that come later are found through this one.
local function register(c)
  local old = now - meta.since > finished_retention / 4
  if meta.cur == 0 or meta.tasks >= SEGMENT_TASKS or old then open_segment() end
  local key = prefix .. 's:' .. meta.cur
  local number = call('RPUSH', key, c.gid)
  local segment = segment_of(meta.cur)
  if number == 1 then call('PEXPIREAT', key, string.format('%d', segment.ends)) end
  if number >= SEGMENT_CHORDS then meta.tasks = SEGMENT_TASKS end
  segment.living, segment.changed = segment.living + 1, true
  if c.segment == 0 then
    c.segment = meta.cur
  else
    local facts = cold(c)
    facts.g, c.cold_changed = facts.g or {}, true
    facts.g[#facts.g + 1] = meta.cur
  end
  c.look, c.number = meta.cur, number
end

local function release(c)
  local numbers = {c.segment, unpack(cold(c).g or {})}
  for _, number in ipairs(numbers) do
    local segment = segment_of(number)
    segment.living, segment.changed = segment.living - 1, true
    if segment.living <= 0 then delete_segment(number) end
  end
end

-- Let the chord be found by this id.
local function index_id(c, id)
  if c.look ~= meta.cur or meta.tasks >= SEGMENT_TASKS then register(c) end
  meta.tasks = meta.tasks + 1
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
    meta.bytes = meta.bytes + 2 * #stored + 40
  end
  segment.numbers[text] = number
  return number
end

-- Return the number of the name that a record gives as a place in the batch's strings (from 0).
local function string_number(c, at)
  if not at then return 0 end
  return number_of(c, strings[at + 1])
end

local function text_of(segment_number, number)
  if number == 0 then return nil end
  local texts = segment_of(segment_number).texts
  if texts[number] == nil then
    texts[number] = call('HGET', prefix .. 'n:' .. segment_number, '#' .. number)
  end
  return texts[number] or nil
end
