-- Counters and histograms: gathered during a call, written once at its end into the hash `k`.
-- A field is the msgpack of its labels. What a chord counts before its callback is known waits in the chord.

local lib = ...
local cold, dropped, floor, read = lib.cold, lib.dropped, lib.floor, lib.read
local shared, text_of, touched = lib.shared, lib.text_of, lib.touched

local EVENTS = {[1] = 'succeeded', [2] = 'failed', [3] = 'retried', [4] = 'revoked', [5] = 'rejected'}
EVENTS[PUBLISHED_EVENT], EVENTS[STARTED_EVENT] = 'published', 'started'
local events, counts = {}, {}
local known_names, capped = {}, {}

local function count(amount, ...)
  local field = cmsgpack.pack({...})
  counts[field] = (counts[field] or 0) + amount
end

-- Return the text, or `other` where it is not in its set and that has as many members as there may be label values.
-- What was in once stays, so a name never changes what it is counted under.
local function limited(set_name, limit, member, text, label)
  local key = set_name .. member
  local known = known_names[key]
  if not known then
    known = text
    if read('SISMEMBER', set_name, member) == 0 then
      if read('SCARD', set_name) < limit then
        shared('SADD', set_name, member)
      else
        known, capped[label] = 'other', true
      end
    end
    known_names[key] = known
  end
  return known
end

local function callback_label(c)
  local text = text_of(c.segment, c.label)
  return text and limited('callbacks', MAX_CALLBACKS, text, text, 'callback') or 'unknown'
end

local function task_label(c, callback, name)
  local text = text_of(c.segment, name)
  return text and limited('pairs', MAX_PAIRS, callback .. '\0' .. text, text, 'name') or 'unknown'
end

-- Note an event of a task: `role` 0 or 1, `name` a number, `event` one of EVENTS. Cheap: numbers only.
local function note(c, role, name, event)
  if not EVENTS[event] then return end
  local code = (name * 2 + role) * 16 + event
  if c.label == 0 then
    local facts = cold(c)
    facts.u = facts.u or {}
    facts.u[tostring(code)] = (facts.u[tostring(code)] or 0) + 1
    return
  end
  local key = c.segment * 65536 + c.label
  local of_label = events[key]
  if not of_label then
    of_label = {chord = c}
    events[key] = of_label
  end
  of_label[code] = (of_label[code] or 0) + 1
end

local function count_code(c, callback, code, amount)
  local event, rest = code % 16, floor(code / 16)
  local role, name = rest % 2, floor(rest / 2)
  if role == 1 then
    count(amount, 'c', callback, EVENTS[event])
  else
    count(amount, 'h', callback, task_label(c, callback, name), EVENTS[event])
  end
  if event == RETRYING then
    count(amount, 'r', callback, task_label(c, callback, name), role == 1 and 'callback' or 'header')
  end
end

-- Count what has waited for the callback's name.
local function count_waiting(c)
  local facts = cold(c)
  if not facts.u then return end
  local callback = callback_label(c)
  for code, amount in pairs(facts.u) do
    if code == 'started' then
      count(amount, 's', callback)
    else
      count_code(c, callback, tonumber(code), amount)
    end
  end
  facts.u = nil
end

local function count_started(c)
  if c.label ~= 0 then return count(1, 's', callback_label(c)) end
  local facts = cold(c)
  facts.u = facts.u or {}
  facts.u.started = 1
end

local function save_counts()
  for _, of_label in pairs(events) do
    local c = of_label.chord
    local callback = callback_label(c)
    for code, amount in pairs(of_label) do
      if code ~= 'chord' then count_code(c, callback, code, amount) end
    end
  end
  for reason, amount in pairs(dropped) do count(amount, 'x', reason) end
  for label in pairs(capped) do count(1, 'l', label) end
  -- The names live on as long as what is counted under them.
  if next(counts) then touched.callbacks, touched.pairs = true, true end
  for field, amount in pairs(counts) do shared('HINCRBY', 'k', field, string.format('%d', amount)) end
end

lib.callback_label = callback_label
lib.count, lib.count_started, lib.count_waiting, lib.note = count, count_started, count_waiting, note
lib.save_counts = save_counts
