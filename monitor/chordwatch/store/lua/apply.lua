-- Apply one batch of records, see records.py. Applying it again changes nothing.
-- KEYS[1] `<prefix>m`. KEYS[2] the set of versions that write to this store.
-- ARGV: the batch (empty: only settle and sweep), finished_retention and open_retention in seconds, the size limit in
-- bytes, the histograms' bounds in seconds (msgpack). Returns 1; 0 for a batch that was applied before; -1 when it cannot
-- be read: Redis knows no binary strings in msgpack, only the older raw ones.

local BATCH_VERSION, MAX_UNSURE = 1, 100
local KEEP_SHARED, KEEP_SEQUENCE = 30 * 86400, 86400

local function apply_to(c, records)
  local before = {state = c.state, progressed = c.progressed, opened = c.opened, label = c.label}
  return function(facts)
    merge_facts(c, facts)
    for _, record in ipairs(records) do merge_record(c, record) end
    c.state = (work_out(c))
    reindex(c, before)
    write_chord(c)
  end
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
  if call('RPUSH', key, cmsgpack.pack({node or false, strings, records})) > MAX_UNSURE then call('LPOP', key) end
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
  c.extra_before = c.is_new and 0 or c.extra
  apply_to(c, records)(facts)
  if waiting and #waiting > 0 then
    call('DEL', prefix .. 'u:' .. gid)
    local own_node, own_strings = node, strings
    for _, unsure in ipairs(waiting) do
      local told = cmsgpack.unpack(unsure)
      node, strings = told[1] or nil, told[2]
      for _, segment in pairs(segments) do segment.numbers = {} end
      local again = load_chord(gid)
      again.extra_before = again.extra
      apply_to(again, told[3])({})
    end
    node, strings = own_node, own_strings
  end
end

local function apply_batch(batch)
  if batch[1] ~= BATCH_VERSION then return drop('version') end
  local boot_key = prefix .. 'p:' .. batch[2]
  local applied = tonumber(call('GET', boot_key)) or 0
  if batch[3] <= applied then return 0 end
  node, strings = batch[4], batch[6]
  for reason, lost in pairs(batch[5]) do dropped[reason] = (dropped[reason] or 0) + lost end
  for _, entry in ipairs(batch[7]) do
    local ok = pcall(apply_chord, entry)
    if fatal then error(fatal) end
    if not ok then drop('corrupt') end
  end
  call('SET', boot_key, string.format('%d', batch[3]), 'EX', KEEP_SEQUENCE)
  return 1
end

local function apply()
  local ok, batch = true, nil
  if ARGV[1] ~= '' then ok, batch = pcall(cmsgpack.unpack, ARGV[1]) end
  if not ok or (batch and type(batch) ~= 'table') then return -1 end
  load_meta()
  local done = batch and apply_batch(batch) or 1
  sweep(batch and type(batch[7]) == 'table' and #batch[7] or 0)
  save_counts()
  save_meta()
  redis.call('SADD', KEYS[2], BATCH_VERSION)
  redis.call('EXPIRE', KEYS[2], KEEP_SHARED)
  for name in pairs(touched) do redis.call('EXPIRE', prefix .. name, KEEP_SHARED) end
  return done
end

return apply()
