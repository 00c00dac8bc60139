-- Keep what a monitor found of a chord and say what that changes: of several monitors one is told, and announces it.
-- KEYS[1] `<prefix>m`, as for the other scripts.
-- ARGV: packed group id, when it was found (Unix seconds by the monitor's clock), what it found as judgements.py packs
-- it (empty: no verdict), for how many seconds it is kept, how many judgements and how many bytes of them are kept,
-- the callback's name (empty: unknown), 1 where it ran twice; then cause and outcome of each verdict.
-- Returns two lists: causes that are new or have another outcome, and causes that are gone.

local prefix = string.sub(KEYS[1], 1, -2)
local gid, at, told, keep = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local most, most_bytes, callback = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local own, index, sizes = prefix .. 'v:' .. gid, prefix .. 'judged', prefix .. 'sizes'
local counters, callbacks = prefix .. 'k', prefix .. 'callbacks'
local kept_ms = string.format('%d', keep * 1000)

-- Run a command; a value of a foreign type is replaced, so that it cannot stop a monitor.
local function call(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    if not string.find(reply.err, 'WRONGTYPE', 1, true) and not string.find(reply.err, 'not an integer', 1, true) then
      error(reply.err)
    end
    redis.call('DEL', key)
    reply = redis.call(command, key, ...)
  end
  return reply
end

local function unpacked(value)
  local ok, found = pcall(cmsgpack.unpack, value or '')
  return ok and type(found) == 'table' and found or {}
end

local function add_bytes(number)
  if number == 0 then return end
  call('HINCRBY', KEYS[1], 'judged', string.format('%d', number))
  redis.call('EXPIRE', KEYS[1], KEEP_SHARED)
end

local function size_of(id) return tonumber(call('HGET', sizes, id)) or 0 end

local function drop(id)
  add_bytes(-size_of(id))
  call('HDEL', sizes, id)
  call('ZREM', index, id)
  redis.call('DEL', prefix .. 'v:' .. id)
end

local capped = false

local function label()
  if callback == '' then return 'unknown' end
  if call('SISMEMBER', callbacks, callback) == 1 then return callback end
  capped = call('SCARD', callbacks) >= MAX_CALLBACKS
  if capped then return 'other' end
  call('SADD', callbacks, callback)
  return callback
end

local function increment(...)
  call('HINCRBY', counters, cmsgpack.pack({...}), 1)
  for _, key in ipairs({counters, callbacks}) do redis.call('EXPIRE', key, KEEP_SHARED) end
end

-- Count something of the chord; `...` are the labels besides the callback's.
local function count(kind, ...) increment(kind, label(), ...) end

-- Forget what is too old, and the oldest beyond what may be kept; a few at a time.
local function bound()
  local now = redis.call('TIME')[1]
  for _, id in ipairs(call('ZRANGEBYSCORE', index, '-inf', now - keep, 'LIMIT', 0, MAX_DROPPED)) do drop(id) end
  for _ = 1, MAX_DROPPED do
    local bytes = tonumber(call('HGET', KEYS[1], 'judged')) or 0
    local oldest = call('ZRANGE', index, 0, 0)[1]
    if not oldest or (call('ZCARD', index) <= most and bytes <= most_bytes) then break end
    drop(oldest)
  end
  if call('ZCARD', index) == 0 then
    call('HDEL', KEYS[1], 'judged')
    redis.call('DEL', sizes)
  end
end

local kept = call('HMGET', own, 'at', 'now', 'had')
local last, before, had = tonumber(kept[1]), unpacked(kept[2]), unpacked(kept[3])
if (#ARGV < 9 and next(had) == nil) or (last and last > at and last - at < LATE) then return {{}, {}} end

local now, new, gone = {}, {}, {}
for place = 9, #ARGV, 2 do
  local cause, outcome = ARGV[place], ARGV[place + 1]
  now[cause] = outcome
  if before[cause] ~= outcome then new[#new + 1] = cause end
  if not had[cause] then count('v', outcome, cause) end
  had[cause] = true
end
for cause in pairs(before) do
  if not now[cause] then gone[#gone + 1] = cause end
end
table.sort(gone)
if ARGV[8] == '1' and call('HSETNX', own, 'repeated', 1) == 1 then count('t') end
if capped then increment('l', 'callback') end

add_bytes(#told - size_of(gid))
call('HSET', sizes, gid, #told)
call('ZADD', index, ARGV[2], gid)
call('HSET', own, 'at', ARGV[2], 'now', cmsgpack.pack(now), 'had', cmsgpack.pack(had), 'told', told)
for _, key in ipairs({own, index, sizes}) do redis.call('PEXPIRE', key, kept_ms) end
bound()
return {new, gone}
