-- Chords: facts and records are merged, and the state is worked out anew from all of them.

local lib = ...
local band = lib.band
local bor, cold, cut, has, ms, now, set = lib.bor, lib.cold, lib.cut, lib.has, lib.ms, lib.now, lib.set
local index_id, number_of, string_number = lib.index_id, lib.number_of, lib.string_number
local count_waiting, note = lib.count_waiting, lib.note
local NO_ID = lib.NO_ID
local merge_row, row_at, touch = lib.merge_row, lib.row_at, lib.touch

-- Pack an id as `pack_id` of records.py does.
local function packed(id)
  if string.find(id, UUID_FORM) and id == string.lower(id) then
    return (string.gsub(string.gsub(id, '-', ''), '%x%x', function(byte) return string.char(tonumber(byte, 16)) end))
  end
  local text = '~' .. cut(id)
  return #text == #NO_ID and '\0' .. text or text
end

local function set_label(c, text)
  if c.label ~= 0 or not text then return end
  c.label = number_of(c, text)
  c.reopened = true
  if c.label ~= 0 then count_waiting(c) end
end

local function merge_callback(c, facts, told)
  local known = facts.c or {false, 0, 0, 0}
  facts.c = known
  if told[1] and not known[1] then
    known[1] = told[1]
    index_id(c, told[1])
  end
  if known[2] == 0 then known[2] = number_of(c, told[2]) end
  if known[3] == 0 then known[3] = number_of(c, told[3]) end
  if known[4] == 0 then known[4] = told[4] or 0 end
  set_label(c, told[2])
end

local function merge_errbacks(c, facts, told)
  facts.e = facts.e or {}
  for _, errback in ipairs(told) do
    local known = false
    for _, other in ipairs(facts.e) do
      known = known or (other[1] == (errback[1] or false) and other[2] == number_of(c, errback[2]))
    end
    if not known and #facts.e < MAX_ERRBACKS then
      table.insert(facts.e, {errback[1] or false, number_of(c, errback[2])})
    end
  end
end

-- Of several traces the first stays, but one that names a parent goes before one that names none.
local function merge_trace(facts, told)
  if #told ~= TRACE_LENGTH then return end
  if not facts.t or string.sub(facts.t, 17, 24) == NO_PARENT and string.sub(told, 17, 24) ~= NO_PARENT then
    facts.t = told
  end
end

local function merge_facts(c, told)
  local facts = cold(c)
  if told.c then merge_callback(c, facts, told.c) end
  if told.e then merge_errbacks(c, facts, told.e) end
  if told.n then c.size = math.max(c.size, math.min(told.n, 1e9) + 1) end
  if told.r then facts.r = facts.r or packed(told.r) end
  if told.p then facts.p = facts.p or packed(told.p) end
  if told.w then facts.w = facts.w or packed(told.w) end
  if told.t then merge_trace(facts, told.t) end
  if told.s and c.state <= OPEN then facts.s = facts.s or told.s end
  if told.x and (not facts.x or ms(told.x[1]) < facts.x[1]) then facts.x = {ms(told.x[1]), cut(told.x[2] or '')} end
  if told.a then facts.A = (facts.A or 0) + 1 end
  if told.n or told.x or told.a then set(c, ACTIVE) end
end

-- Return the task of a row that is only a sign; it may have been lost.
local function elsewhere(c, id, index, row)
  local task = lib.load_task(c, id)
  if not task then
    task = lib.new_task(HEADER, index)
    task.f = band(row.flags, COUNTED + DYNAMIC)
    c.details[id] = task
  end
  return task
end

-- Return index and row of a task that stands under another index than a record says, or under one where it says none.
local function row_of(c, id)
  if #id ~= 16 then return nil end
  for index = 0, math.min(c.top, PAGE_ROWS) - 1 do
    local row = c.rows[index] or row_at(c, index)
    if row.id == id then return index, row end
  end
end

-- Return the row, the task in full, and the row's index, where a record of the header belongs; new when there is none.
local function locate(c, id, index)
  local row
  if index and #id == 16 and index >= 0 and index < MAX_INDEX and index % 1 == 0 then
    row = c.rows[index] or row_at(c, index)
    if row.id == id then
      return row, row.flags >= ELSEWHERE and elsewhere(c, id, index, row) or nil, index
    end
    if not row.id and not (has(c, LOOSE) and lib.load_task(c, id)) then
      row.id = id
      if index >= c.top then c.top = index + 1 end
      index_id(c, id)
      return row, nil, index
    end
    row = nil
  end
  local task = lib.load_task(c, id)
  if not task then
    local at, known = row_of(c, id)
    if at then return known, known.flags >= ELSEWHERE and elsewhere(c, id, at, known) or nil, at end
    task = lib.new_task(HEADER, index)
    c.details[id] = task
    set(c, LOOSE)
    index_id(c, id)
  end
  return nil, task
end

local function standing(row, task)
  if task then return band(task.f, COUNTED) ~= 0, band(task.f, WON_BIT) ~= 0 end
  return row.flags % 16 >= COUNTED, row.flags % 8 == SUCCEEDED
end

local function add_dynamic(c, row, task)
  local bits = task and task.f or row.flags
  if band(bits, DYNAMIC) ~= 0 then return end
  if task then task.f = bor(task.f, DYNAMIC) end
  if row then row.flags = bor(row.flags, DYNAMIC) end
  c.added = c.added + 1
end

local function merge_header(c, r, at, started, worker)
  local kind, id = r[1], r[3]
  local row, task, index = locate(c, id, r[4])
  local was_counted, had_won = standing(row, task)
  local name, queue = string_number(c, r[8]), string_number(c, r[9])
  local fits, event, began = false, nil, nil
  if not task then
    fits, event, began = merge_row(c, row, r, at, started, name, queue, worker)
    touch(c, index)
    if not fits then
      task = lib.task_of_row(c, row, index)
      c.details = c.details or {}
      c.details[id] = task
    end
  end
  if task then
    event, began = lib.merge_task(c, task, r, at, started, name, queue, worker)
    task.changed = true
    set(c, DETAIL)
    if row and r[12] then
      row.flags, row.f = bor(row.flags, COUNTED), math.max(row.f, math.min(at - c.base + 1, MAX_TIME))
      touch(c, index)
    end
  end
  if r[16] then add_dynamic(c, row, task) end
  if event then note(c, HEADER, name, event) end
  if began then note(c, HEADER, name, began) end
  if r[12] then
    local counted, won = standing(row, task)
    if counted and not was_counted then c.counted = c.counted + 1 end
    if counted and not won then c.failed = c.failed + 1 end
    if was_counted and not had_won then c.failed = c.failed - 1 end
    if at > c.last then c.last = at end
  end
  local first = kind == ENDED and started or kind ~= EXPECTED and kind ~= ENDED and at
  if first and (c.opened == 0 or first < c.opened) then c.opened, c.reopened = first, true end
end

-- Merge a record of a callback or an errback; they are few and stay with the chord's facts.
local function merge_other(c, r, at, started, worker)
  local facts, id, role = cold(c), r[3], r[2]
  facts.b = facts.b or {}
  local task = facts.b[id]
  if not task then
    local many = 0
    for _ in pairs(facts.b) do many = many + 1 end
    if many >= MAX_CALLBACK_TASKS + MAX_ERRBACKS then return end
    task = lib.new_task(role, nil)
    facts.b[id] = task
    if role == CALLBACK and not (facts.c and facts.c[1] == id) then index_id(c, id) end
  end
  local name, queue = string_number(c, r[8]), string_number(c, r[9])
  local event, began = lib.merge_task(c, task, r, at, started, name, queue, worker)
  if role ~= CALLBACK then return end
  set(c, CALLED)
  if event then note(c, CALLBACK, name, event) end
  if began then note(c, CALLBACK, name, began) end
end

local function merge_record(c, r)
  local at, started = ms(r[7]), r[11] and ms(r[11])
  if at > c.progressed then c.progressed = at < now + 1000 and at or math.max(c.progressed, now + 1000) end
  if c.flags % 2 == 0 and r[1] ~= EXPECTED then set(c, ACTIVE) end
  if r[15] then
    local facts = cold(c)
    set(c, ETA)
    facts.y = math.max(facts.y or 0, math.min(ms(r[15]), now + MAX_AHEAD))
  end
  local worker = 0
  if r[1] > PUBLISHED then
    worker = string_number(c, NODE)
  end
  if r[2] ~= HEADER then return merge_other(c, r, at, started, worker) end
  if c.flags % (2 * DROPPED) < DROPPED then merge_header(c, r, at, started, worker) end
end

-- Return how the last attempt of a task stands: its end (nil while it goes on), when, and whether nothing follows.
local function outcome(task)
  local attempt = task.a[1]
  if not attempt then return nil end
  local first, best
  for _, known in ipairs(attempt[8]) do
    first = first or known
    if known[3] == SUCCEEDED then best = best or known end
  end
  best = best or first
  if not best then return nil end
  local last = false
  for _, known in ipairs(attempt[8]) do last = last or (known[3] == SUCCEEDED and known[5]) end
  return best[3], best[1], last
end

-- Return the chord's state and when it finished, from its callback's tasks and its header's counts.
local function work_out(c)
  local won, finish, failed_at = 0, nil, nil
  if has(c, CALLED) then
    for _, task in pairs(cold(c).b) do
      local ended, time, last = nil, 0, false
      if task.o == CALLBACK then ended, time, last = outcome(task) end
      if ended == FAILED or ended == REVOKED then failed_at = math.min(failed_at or time, time) end
      if ended == SUCCEEDED and last then won, finish = won + 1, math.max(finish or time, time) end
    end
  end
  if failed_at then return LOST, failed_at + c.base end
  local ends = has(c, CALLED) and cold(c).c and cold(c).c[4] or 0
  if won >= math.max(ends, 1) then return WON, finish + c.base end
  local complete = c.size > 0 and c.counted >= c.size - 1 + c.added
  if complete and c.failed > 0 then return LOST, c.last end
  return has(c, ACTIVE) and OPEN or PLANNED, 0
end

lib.merge_facts, lib.merge_record, lib.work_out = merge_facts, merge_record, work_out
