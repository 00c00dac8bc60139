-- Rows: a header task that ran at most once is 31 bytes in a page of 128. What does not fit is a task of tasks.lua.
-- Page 0 ends the chord's own key; page k is field `p<k>` of `d:<group id>`. A page's first byte is its times' width.

local MAX_INDEX = 10000000
local WIDE = 16777216
local MAX_TIME = 4294967295

local function page_of(c, number)
  if number == 0 then return c.page end
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
    c.changed['p' .. number] = page
  end
end

local function row_at(c, index)
  local row = c.rows[index]
  if row then return row end
  row = {index = index, flags = 0, pair = 0, worker = 0, p = 0, r = 0, s = 0, f = 0}
  local number = floor(index / PAGE_ROWS)
  local page = page_of(c, number)
  local width = string.byte(page)
  local at = 2 + (index - number * PAGE_ROWS) * ROW_SIZE[width]
  if #page >= at + ROW_SIZE[width] - 1 then
    local id
    id, row.flags, row.pair, row.worker, row.p, row.r, row.s, row.f = struct.unpack(ROW[width], page, at)
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

local function by_index(a, b) return a.index < b.index end

local function write_page(c, number, rows)
  table.sort(rows, by_index)
  local page = page_of(c, number)
  if string.byte(page) == 3 then
    for _, row in ipairs(rows) do
      if row.p >= WIDE or row.r >= WIDE or row.s >= WIDE or row.f >= WIDE then
        page = widen(page)
        break
      end
    end
  end
  local width = string.byte(page)
  local size, first = ROW_SIZE[width], number * PAGE_ROWS
  local needed = 1 + (rows[#rows].index - first + 1) * size
  if #page < needed then page = page .. string.rep('\0', needed - #page) end
  local parts, at = {}, 1
  for _, row in ipairs(rows) do
    local start = 2 + (row.index - first) * size
    if start > at then parts[#parts + 1] = string.sub(page, at, start - 1) end
    parts[#parts + 1] = struct.pack(ROW[width], row.id, row.flags, row.pair, row.worker, row.p, row.r, row.s, row.f)
    at = start + size
  end
  parts[#parts + 1] = string.sub(page, at)
  set_page(c, number, table.concat(parts))
end

local function write_rows(c)
  local of_page = {}
  for _, row in pairs(c.rows) do
    if row.changed then
      local number = floor(row.index / PAGE_ROWS)
      of_page[number] = of_page[number] or {}
      table.insert(of_page[number], row)
    end
  end
  for number, rows in pairs(of_page) do write_page(c, number, rows) end
end

-- Return the place (from 1) of an entry in one of the chord's short lists; nil when there is no room in a byte.
local function place(c, list, entry)
  local size, text = #entry, c[list]
  for at = 1, #text, size do
    if string.sub(text, at, at + size - 1) == entry then return (at - 1) / size + 1 end
  end
  if #text >= 255 * size then return nil end
  c[list] = text .. entry
  return #c[list] / size
end

local function pair_at(c, at)
  if at == 0 then return 0, 0 end
  return struct.unpack('>I2I2', c.pairs, at * 4 - 3)
end

local function worker_at(c, at)
  if at == 0 then return 0 end
  return (struct.unpack('>I2', c.workers, at * 2 - 1))
end

-- Note name and queue (numbers) in the row; the queue it was published to is the better one. False: no room.
local function name_row(c, row, name, queue, published)
  local old_name, old_queue = pair_at(c, row.pair)
  if name ~= 0 and old_name ~= 0 and name ~= old_name then return false end
  local new_name = name ~= 0 and name or old_name
  local new_queue = old_queue
  if queue ~= 0 and (published or old_queue == 0) then new_queue = queue end
  if new_name == old_name and new_queue == old_queue then return true end
  local at = place(c, 'pairs', struct.pack('>I2I2', new_name, new_queue))
  if not at then return false end
  row.pair = at
  return true
end

local function work_row(c, row, worker)
  if worker == 0 then return true end
  local at = place(c, 'workers', struct.pack('>I2', worker))
  if not at or (row.worker ~= 0 and row.worker ~= at) then return false end
  row.worker = at
  return true
end

-- Note an end: `started` is the run's start where the reporter knew it. Another end of the row's run does not fit.
local function end_row(row, time, started, finish, counted, last)
  local known, named = row.flags % 8, band(row.flags, NAMED) ~= 0
  if known ~= 0 and known ~= finish then return false end
  if known == 0 or (started and not named) then
    row.f = time
  elseif not named then
    row.f = math.min(row.f, time)
  end
  row.flags = bor(row.flags, finish, started and NAMED or 0, counted and COUNTED or 0, last and LAST or 0)
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
