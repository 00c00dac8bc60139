-- Note a heartbeat by the clock of Redis. KEYS[1] `<prefix>m`, as for the other script.
-- ARGV: boot id, what the worker says of itself (JSON), 1 for a goodbye, how long it is remembered in seconds.

local prefix = string.sub(KEYS[1], 1, -2)
local worker, workers = prefix .. 'w:' .. ARGV[1], prefix .. 'workers'
local clock = redis.call('TIME')
local now = string.format('%d.%06d', clock[1], clock[2])

local function beat()
  redis.call('HSETNX', worker, 'first', now)
  redis.call('HSET', worker, 'last', now, 'told', ARGV[2], 'gone', ARGV[3])
  redis.call('EXPIRE', worker, ARGV[4])
  redis.call('ZADD', workers, now, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', clock[1] - ARGV[4])
  redis.call('EXPIRE', workers, ARGV[4])
end

if not pcall(beat) then
  redis.call('DEL', worker, workers)
  beat()
end
return now
