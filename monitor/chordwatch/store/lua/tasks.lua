-- Tasks in full: callbacks, errbacks, and header tasks that do not fit a row. They are kept as msgpack:
-- `i` index, `f` bits (COUNTED; WON_BIT: counted and succeeded; DYNAMIC), `o` role, `y` latest eta, and `a` attempts
-- `[nesting, retries, name, queue, published, received, started, ended]`: lists of what was seen, sorted by time:
-- `[time, queue]`, `[time, worker]`, `[time, worker]`, `[time, started or false, end, counted, last, error, worker]`.
-- Which sightings make one run is decided by who reads: so the order in which they came does not matter.

local lib = ...
local band, bor, call, cut = lib.band, lib.bor, lib.call, lib.cut
local detail_key, drop, has, ms, now = lib.detail_key, lib.drop, lib.has, lib.ms, lib.now
local pairs_of = lib.pairs_of
local workers_of = lib.workers_of

local function new_task(role, index)
  return {i = index or false, f = 0, o = role, a = {}}
end

local function earlier(a, b) return a[1] < b[1] end

-- Insert a sighting by time; of very many the middle ones are dropped.
local function insert(list, sighting)
  list[#list + 1] = sighting
  table.sort(list, earlier)
  if #list > MAX_SIGHTINGS then table.remove(list, MAX_SIGHTINGS / 2 + 1) end
end

local function seen(list, time, worker)
  for _, sighting in ipairs(list) do
    if sighting[1] == time and (not worker or sighting[2] == worker) then return true end
  end
  return false
end

local function later_attempt(a, b)
  if a[1] ~= b[1] then return a[1] > b[1] end
  return a[2] > b[2]
end

local function attempt_of(task, nesting, retries)
  for _, attempt in ipairs(task.a) do
    if attempt[1] == nesting and attempt[2] == retries then return attempt end
  end
  local attempt = {nesting, retries, 0, 0, {}, {}, {}, {}}
  table.insert(task.a, attempt)
  table.sort(task.a, later_attempt)
  if #task.a > MAX_ATTEMPTS then table.remove(task.a) end
  return attempt
end

-- Note an end. A named one is told once for each start in its worker. Of those without a start one of each kind is kept
-- for each worker, and it counts only if no named one of its kind does: Celery reports a hard time limit twice.
-- What is revoked is the task, not a delivery: it counts once, whichever workers say so.
local function end_attempt(ends, time, r, started, worker)
  local finish, counted, last, failure = r[10], r[12] or false, r[13] or false, r[14] and cut(r[14]) or false
  local same, named, unnamed = nil, 0, 0
  for _, known in ipairs(ends) do
    local here = known[7] == worker
    if here and known[2] == started and (started or known[3] == finish) then same = known end
    if known[3] == finish and (here or finish == REVOKED) then
      if known[2] then named = named + 1 else unnamed = 1 end
    end
  end
  if same then
    if not started and time < same[1] then same[1] = time end
    same[4], same[5], same[6] = same[4] or counted, same[5] or last, same[6] or failure
    table.sort(ends, earlier)
    return nil
  end
  insert(ends, {time, started, finish, counted, last, failure, worker})
  local first = started and named >= unnamed or not started and named + unnamed == 0
  return first and finish or nil
end

-- Merge a record into a task. Returns the events to count.
local function merge_task(c, task, r, at, started, name, queue, worker)
  local kind, time = r[1], at - c.base
  if r[15] then task.y = math.max(task.y or 0, math.min(ms(r[15]), now + MAX_AHEAD) - c.base) end
  local attempt = attempt_of(task, r[6], r[5])
  if attempt[3] == 0 then attempt[3] = name end
  if queue ~= 0 and (attempt[4] == 0 or kind == PUBLISHED) then attempt[4] = queue end
  if kind == PUBLISHED then
    if seen(attempt[5], time) then return nil end
    insert(attempt[5], {time, queue})
    return PUBLISHED_EVENT
  elseif kind == RECEIVED then
    if not seen(attempt[6], time, worker) then insert(attempt[6], {time, worker}) end
    return nil
  end
  if kind == STARTED_KIND then started = at end
  local began
  if started then
    started = started - c.base
    if not seen(attempt[7], started, worker) then
      insert(attempt[7], {started, worker})
      began = STARTED_EVENT
    end
  end
  if kind ~= ENDED then return began end
  if r[12] then
    task.f = bor(task.f, COUNTED, r[10] == SUCCEEDED and WON_BIT or 0)
  end
  return end_attempt(attempt[8], time, r, started or false, worker), began
end

local function task_name(task)
  local attempt = task.a[1]
  return attempt and attempt[3] or 0
end

-- Turn a row into a task; the row stays as a sign of where the task is.
local function task_of_row(c, row, index)
  local task = new_task(HEADER, index)
  local name, queue = unpack(pairs_of(c)[row.pair] or {0, 0})
  local worker = workers_of(c)[row.worker] or 0
  local counted, finish = band(row.flags, COUNTED) ~= 0, row.flags % 8
  task.f = bor(band(row.flags, COUNTED + DYNAMIC), counted and finish == SUCCEEDED and WON_BIT or 0)
  local attempt = attempt_of(task, 0, 0)
  attempt[3], attempt[4] = name, queue
  if row.p > 0 then attempt[5][1] = {row.p - 1, queue} end
  if row.r > 0 then attempt[6][1] = {row.r - 1, worker} end
  if row.s > 0 then attempt[7][1] = {row.s - 1, worker} end
  if finish > 0 then
    local named = band(row.flags, NAMED) ~= 0
    attempt[8][1] = {row.f - 1, named and row.s - 1, finish, counted, band(row.flags, LAST) ~= 0, false, worker}
  end
  row.flags, row.p, row.r, row.s = bor(band(row.flags, COUNTED + DYNAMIC), ELSEWHERE), 0, 0, 0
  if not counted then row.f = 0 end
  return task
end

local function load_task(c, id)
  if not c.details then c.details = {} end
  local task = c.details[id]
  if task == nil then
    local value = has(c, DETAIL) and call('HGET', detail_key(c.gid), id)
    if value then
      local ok, found = pcall(cmsgpack.unpack, value)
      if ok and type(found) == 'table' and type(found.a) == 'table' then task = found else drop('corrupt') end
    end
    c.details[id] = task or false
    if task then task.length = #value end
  end
  return task or nil
end

local function save_tasks(c)
  c.changed = c.changed or {}
  for id, task in pairs(c.details) do
    if task and task.changed then
      local before = task.length
      task.changed, task.length = nil, nil
      local value = cmsgpack.pack(task)
      c.extra = c.extra + #value - (before or -60)
      c.changed[id] = value
    end
  end
end

lib.load_task, lib.merge_task, lib.new_task, lib.save_tasks = load_task, merge_task, new_task, save_tasks
lib.task_of_row = task_of_row
