-- Apply one batch of records, see records.py. Applying it again changes nothing.
-- KEYS[1] `<prefix>m`. KEYS[2] the set of versions that write to this store.
-- ARGV: the batch (empty: only settle and sweep), finished_retention and open_retention in seconds, the size limit in
-- bytes, the histograms' bounds in seconds (msgpack).
-- Returns 1; 0 for a batch that was applied before. One that cannot be read is counted as `corrupt`; the msgpack of
-- Redis knows no binary strings, only the older raw ones.

local lib = ...
local call, clock, drop, dropped, load_chord = lib.call, lib.clock, lib.drop, lib.dropped, lib.load_chord
local ms, new_chord, now, prefix, read = lib.ms, lib.new_chord, lib.now, lib.prefix, lib.read
local touched, finished_retention, load_meta = lib.touched, lib.finished_retention, lib.load_meta
local register, save_meta, segments, save_counts = lib.register, lib.save_meta, lib.segments, lib.save_counts
local merge_facts, merge_record, work_out = lib.merge_facts, lib.merge_record, lib.work_out
local reindex, seconds, write_chord = lib.reindex, lib.seconds, lib.write_chord

local packed_now = struct.pack('>I6', now)

local function apply_to(c, facts, records)
  if next(facts) ~= nil then merge_facts(c, facts) end
  for at = 1, #records do merge_record(c, records[at]) end
  c.state = work_out(c)
  reindex(c)
  write_chord(c)
end

local function first_time(records)
  local first
  for _, record in ipairs(records) do
    local at = ms(record[7])
    first = math.min(first or at, at, record[11] and ms(record[11]) or at)
  end
  return first or now
end

-- Records of which the sender cannot tell whether the group is a chord's wait for somebody who can.
local function keep_unsure(gid, records)
  local key = prefix .. 'u:' .. gid
  local many = call('RPUSH', key, cmsgpack.pack({lib.node, lib.strings, records}))
  if many > MAX_UNSURE then call('LPOP', key) end
  call('PEXPIRE', key, string.format('%d', finished_retention))
end

local function apply_chord(entry)
  local gid, facts, records = entry[1], entry[2], entry[3]
  local c = load_chord(gid)
  if not c and facts.u then return keep_unsure(gid, records) end
  local waiting
  if not c then
    c = new_chord(gid, first_time(records))
    register(c)
    waiting = call('LRANGE', prefix .. 'u:' .. gid, 0, -1)
  end
  apply_to(c, facts, records)
  if waiting and #waiting > 0 then
    call('DEL', prefix .. 'u:' .. gid)
    local own_node, own_strings = lib.node, lib.strings
    for _, unsure in ipairs(waiting) do
      local told = cmsgpack.unpack(unsure)
      lib.node, lib.strings = told[1], told[2]
      lib.forget_strings()
      apply_to(load_chord(gid), {}, told[3])
    end
    lib.forget_strings()
    lib.node, lib.strings = own_node, own_strings
  end
end

local function apply_batch(batch)
  if batch[1] ~= BATCH_VERSION then return drop('version') end
  local boot_key = prefix .. 'p:' .. batch[2]
  local applied = tonumber(call('GET', boot_key)) or 0
  if batch[3] <= applied then return 0 end
  lib.node, lib.strings = batch[4] or false, batch[6]
  for reason, lost in pairs(batch[5]) do dropped[reason] = (dropped[reason] or 0) + lost end
  for _, entry in ipairs(batch[7]) do
    local ok = pcall(apply_chord, entry)
    if lib.fatal then error(lib.fatal) end
    if not ok then drop('corrupt') end
  end
  call('SET', boot_key, string.format('%d', batch[3]), 'EX', KEEP_SEQUENCE)
  return 1
end

-- Settle and forget a few chords whose time has come. Without a batch there is time to look further.
local function sweep(chords)
  local limit = chords == 0 and 100 or math.max(10, 2 * chords)
  if #read('ZRANGEBYSCORE', 'settle', '-inf', seconds(now), 'LIMIT', 0, 1) > 0 then lib.settle(limit) end
  for _, list in ipairs({'finished', 'summary'}) do
    local entry = read('LINDEX', list, 0)
    if entry and string.sub(entry, -TIME_LENGTH) <= packed_now then lib.forget_due(list, limit) end
  end
  if chords == 0 then
    lib.probe_open(10)
    lib.forget_segments()
  elseif clock[2] % 8 == 0 then
    lib.probe_open(4)
  end
  if lib.meta.bytes > tonumber(ARGV[4]) then lib.evict() end
  if lib.meta.chords == 0 and next(segments) == nil then lib.meta.bytes = 0 end
end

local function apply()
  local ok, batch = true, nil
  if ARGV[1] ~= '' then ok, batch = pcall(cmsgpack.unpack, ARGV[1]) end
  if not ok or (batch and type(batch) ~= 'table') then
    drop('corrupt')
    batch = nil
  end
  load_meta()
  local done = batch and apply_batch(batch) or 1
  local swept = pcall(sweep, batch and type(batch[7]) == 'table' and #batch[7] or 0)
  if lib.fatal then error(lib.fatal) end
  if not swept then drop('corrupt') end
  save_counts()
  save_meta()
  for name in pairs(touched) do redis.call('EXPIRE', prefix .. name, KEEP_SHARED) end
  return done
end

lib.apply = apply
