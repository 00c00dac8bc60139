-- Opening, keeping and deleting segments, see names.lua.

local lib = ...
local call, cold, now, prefix, shared = lib.call, lib.cold, lib.now, lib.prefix, lib.shared
local finished_retention, open_retention, segment_of = lib.finished_retention, lib.open_retention, lib.segment_of
local segments = lib.segments

local function each_segment_key(number, visit)
  visit(prefix .. 's:' .. number)
  visit(prefix .. 'n:' .. number)
  for bucket = 0, BUCKETS - 1 do visit(prefix .. 'i:' .. number .. ':' .. bucket) end
end

-- Let the segment live until then; seldom, because it is given a day more.
local function extend_segment(number, until_ms)
  local segment = segment_of(number)
  segment.ends, segment.changed = until_ms + DAY, true
  each_segment_key(number, function(key) call('PEXPIREAT', key, string.format('%d', segment.ends)) end)
end

local function open_segment()
  lib.meta.cur, lib.meta.tasks, lib.meta.since = lib.meta.cur + 1, 0, now
  local number = lib.meta.cur
  segments[number] = {living = 0, ends = 0, numbers = {}, texts = {}, string_numbers = {}, changed = true}
  -- Number 0 is no chord's: with it every bucket exists, and has its end, from the start.
  for bucket = 0, BUCKETS - 1 do call('SADD', prefix .. 'i:' .. number .. ':' .. bucket, '-2147483648') end
  call('HSET', prefix .. 'n:' .. number, '#', 0)
  extend_segment(number, now + math.max(open_retention, finished_retention))
  lib.meta.bytes = lib.meta.bytes + SEGMENT_BYTES
  redis.call('SADD', KEYS[2], LAYOUT)
  redis.call('EXPIRE', KEYS[2], 30 * 86400)
end

local function delete_segment(number)
  each_segment_key(number, function(key) call('UNLINK', key) end)
  segments[number] = nil
  shared('HDEL', 'm', 'g' .. number, 'u' .. number)
  lib.meta.bytes = lib.meta.bytes - SEGMENT_BYTES
  if number == lib.meta.cur then lib.meta.tasks = SEGMENT_TASKS end
end

local function leave_segment(number)
  local segment = segment_of(number)
  segment.living, segment.changed = segment.living - 1, true
  if segment.living <= 0 then delete_segment(number) end
end

-- Return the numbers of the segments that a chord is entered in.
local function segments_of(c)
  return {c.segment, unpack(cold(c).g or {})}
end

local function release(c)
  for _, number in ipairs(segments_of(c)) do leave_segment(number) end
end

lib.leave_segment, lib.segments_of = leave_segment, segments_of
lib.delete_segment, lib.extend_segment, lib.open_segment = delete_segment, extend_segment, open_segment
lib.release = release
