-- Rows: a header task that ran at most once is 31 bytes in a page of 128. What does not fit is a task of tasks.lua.
-- Page 0 ends the chord's own key; page k is field `p<k>` of `d:<group id>`. A page's first byte is its times' width.

local lib = ...
local NO_ID = lib.NO_ID
local ROW, ROW_SIZE = lib.ROW, lib.ROW_SIZE
local call, detail_key, floor, has = lib.call, lib.detail_key, lib.floor, lib.has

local lists, worker_lists = {}, {}
local byte, substring, concat, pack_row, unpack_row = string.byte, string.sub, table.concat, struct.pack, struct.unpack

local function page_of(c, number)
  if number == 0 then return c.page end
  if not c.pages then c.pages = {} end
  if not c.pages[number] then
    c.pages[number] = has(c, DETAIL) and call('HGET', detail_key(c.gid), 'p' .. number) or '\3'
  end
  return c.pages[number]
end

local function set_page(c, number, page)
  if number == 0 then
    c.page = page
  else
    local before = #c.pages[number]
    c.extra = c.extra + #page - before + (before == 1 and 100 or 0)
    c.pages[number] = page
    c.changed = c.changed or {}
    c.changed['p' .. number] = page
  end
end

local function row_at(c, index)
  local row = c.rows[index]
  if row then return row end
  row = {id = false, flags = 0, pair = 0, worker = 0, p = 0, r = 0, s = 0, f = 0}
  local slot = index % PAGE_ROWS
  local page = index == slot and c.page or page_of(c, (index - slot) / PAGE_ROWS)
  local width = byte(page)
  local size = ROW_SIZE[width]
  local at = 2 + slot * size
  if #page >= at + size - 1 then
    local id
    id, row.flags, row.pair, row.worker, row.p, row.r, row.s, row.f = unpack_row(ROW[width], page, at)
    if id ~= NO_ID then row.id = id end
  end
  c.rows[index] = row
  return row
end

local function widen(page)
  local parts = {'\4'}
  for at = 2, #page, ROW_SIZE[3] do
    parts[#parts + 1] = struct.pack(ROW[4], struct.unpack(ROW[3], page, at))
  end
  return table.concat(parts)
end

local function is_wide(row)
  return row.p >= WIDE or row.r >= WIDE or row.s >= WIDE or row.f >= WIDE
end

-- Write the changed rows of a page; they lie between the indexes `first` and `last`.
local function write_page(c, number, first, last)
  local page, start = page_of(c, number), number * PAGE_ROWS
  local rows, width = c.rows, byte(page)
  for index = first, width == 3 and last or -1 do
    if rows[index] and is_wide(rows[index]) then
      page, width = widen(page), 4
      break
    end
  end
  local size, layout = ROW_SIZE[width], ROW[width]
  local missing = 1 + (last - start + 1) * size - #page
  if missing > 0 then page = page .. string.rep('\0', missing) end
  local parts, many, at = {}, 0, 1
  for index = first, last do
    local row = rows[index]
    if row and row.id then
      local from = 2 + (index - start) * size
      if from > at then
        many = many + 1
        parts[many] = substring(page, at, from - 1)
      end
      many = many + 1
      parts[many] = pack_row(layout, row.id, row.flags, row.pair, row.worker, row.p, row.r, row.s, row.f)
      at = from + size
    end
  end
  parts[many + 1] = substring(page, at)
  set_page(c, number, concat(parts))
end

-- Write the rows that were read, which lie between the indexes `c.low` and `c.high`.
local function write_rows(c)
  local low, high = c.low, c.high
  if not low then return end
  if high < PAGE_ROWS then return write_page(c, 0, low, high) end
  local lows, highs = {}, {}
  for index, row in pairs(c.rows) do
    if row.id then
      local number = floor(index / PAGE_ROWS)
      if not lows[number] or index < lows[number] then lows[number] = index end
      if not highs[number] or index > highs[number] then highs[number] = index end
    end
  end
  for number, index in pairs(lows) do write_page(c, number, index, highs[number]) end
end

local function touch(c, index)
  if not c.low or index < c.low then c.low = index end
  if not c.high or index > c.high then c.high = index end
end

-- Return the chord's pairs of names and queues (numbers), as rows refer to them. Chords that say the same share a list.
local function pairs_of(c)
  local list = lists[c.pairs]
  if not list then
    list = {}
    for at = 1, #c.pairs, 4 do list[#list + 1] = {unpack_row('>I2I2', c.pairs, at)} end
    lists[c.pairs] = list
  end
  return list
end

-- Return the numbers of the chord's workers, as rows refer to them.
local function workers_of(c)
  local list = worker_lists[c.workers]
  if not list then
    list = {}
    for at = 1, #c.workers, 2 do list[#list + 1] = unpack_row('>I2', c.workers, at) end
    worker_lists[c.workers] = list
  end
  return list
end

-- Return the place of a pair; nil when there is no room in a byte.
local function place_of_pair(c, name, queue)
  local list = pairs_of(c)
  for at, pair in ipairs(list) do
    if pair[1] == name and pair[2] == queue then return at end
  end
  if #list >= 255 then return nil end
  c.pairs = c.pairs .. pack_row('>I2I2', name, queue)
  return #list + 1
end

local function place_of_worker(c, worker)
  local list = workers_of(c)
  for at, number in ipairs(list) do
    if number == worker then return at end
  end
  if #list >= 255 then return nil end
  c.workers = c.workers .. pack_row('>I2', worker)
  return #list + 1
end

-- Note name and queue (numbers) in the row; the queue it was published to is the better one. False: no room.
local function name_row(c, row, name, queue, published)
  local known = pairs_of(c)[row.pair]
  if known and known[1] == name and known[2] == queue then return true end
  local old_name, old_queue = known and known[1] or 0, known and known[2] or 0
  local new_name, new_queue = old_name, old_queue
  if name ~= 0 and name ~= old_name then
    if old_name ~= 0 then return false end
    new_name = name
  end
  if queue ~= 0 and (published or old_queue == 0) then new_queue = queue end
  if new_name == old_name and new_queue == old_queue then return true end
  local at = place_of_pair(c, new_name, new_queue)
  if not at then return false end
  row.pair = at
  return true
end

local function work_row(c, row, worker)
  if worker == 0 then return true end
  local known = workers_of(c)[row.worker]
  if known then return known == worker end
  row.worker = place_of_worker(c, worker) or 0
  return row.worker > 0
end

-- Note an end: `started` is the run's start where the reporter knew it. Another end of the row's run does not fit.
local function end_row(row, time, started, finish, counted, last)
  local known, named = row.flags % 8, row.flags % 64 >= NAMED
  if known ~= 0 and known ~= finish then return false end
  if known == 0 or (started and not named) then
    row.f = time
  elseif not named then
    row.f = math.min(row.f, time)
  end
  local flags = row.flags - known + finish
  if started and not named then flags = flags + NAMED end
  if counted and flags % 16 < COUNTED then flags = flags + COUNTED end
  if last and flags % 32 < LAST then flags = flags + LAST end
  row.flags = flags
  local began = started and row.s == 0 and STARTED_EVENT or nil
  row.s = started or row.s
  return true, known == 0 and finish or nil, began
end

-- Merge a record into a row. Returns whether it fits, and the events to count.
local function merge_row(c, row, r, at, started, name, queue, worker)
  local kind, time = r[1], at - c.base + 1
  if r[5] ~= 0 or r[6] ~= 0 or r[14] or r[15] or time < 1 or time > MAX_TIME then return false end
  if started then
    started = started - c.base + 1
    if started < 1 or started > MAX_TIME or (row.s ~= 0 and row.s ~= started) then return false end
  end
  if kind > PUBLISHED and not work_row(c, row, worker) then return false end
  if not name_row(c, row, name, queue, kind == PUBLISHED) then return false end
  if kind == ENDED then return end_row(row, time, started, r[10], r[12], r[13]) end
  if kind == EXPECTED then return true end
  local field = kind == PUBLISHED and 'p' or kind == RECEIVED and 'r' or 's'
  if row[field] == time then return true end
  if row[field] ~= 0 then return false end
  row[field] = time
  return true, kind == PUBLISHED and PUBLISHED_EVENT or kind == STARTED_KIND and STARTED_EVENT or nil
end

lib.merge_row, lib.page_of = merge_row, page_of
lib.pairs_of, lib.row_at, lib.workers_of, lib.write_rows = pairs_of, row_at, workers_of, write_rows
lib.touch = touch
