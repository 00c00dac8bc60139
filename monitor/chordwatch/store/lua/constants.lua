-- Constants of all parts. They are written in place of their names before the script is sent, because Redis runs
-- every definition at every call. A bit is tested with `%` and `>=` where every record passes.

-- codec.lua
HEAD = '>BI6I4I4I4I4I6I6I6I4I4I4I2I2I2BI4I4BBI4'
HEAD_VERSION = 1
PAGE_ROWS = 128
CUT = 200
SUCCEEDED = 1
FAILED = 2
RETRYING = 3
REVOKED = 4
PLANNED = 0
OPEN = 1
WON = 2
LOST = 3
HEADER = 0
CALLBACK = 1
-- A bit of a task in full: it was counted with a success.
WON_BIT = 1
MAX_AHEAD = 400 * 86400000
EXPECTED = 0
PUBLISHED = 1
RECEIVED = 2
STARTED_KIND = 3
ENDED = 4
-- Bits of a row: the end in the lowest three, then these.
COUNTED = 8
LAST = 16
NAMED = 32
DYNAMIC = 64
ELSEWHERE = 128
-- Bits of a chord.
ACTIVE = 1
SETTLED = 2
DETAIL = 4
LOOSE = 8
DROPPED = 16
STARTED = 32
CALLED = 64
INDEXED = 128
ETA = 256

-- names.lua
BUCKETS = 256
SEGMENT_TASKS = 65536
SEGMENT_CHORDS = 65000
SEGMENT_BYTES = 50000
HASH_PRIME = 16777213
DAY = 86400000

-- counts.lua
MAX_CALLBACKS = 200
MAX_PAIRS = 1000
PUBLISHED_EVENT = 8
STARTED_EVENT = 9

-- rows.lua
MAX_INDEX = 10000000
WIDE = 16777216
MAX_TIME = 4294967295

-- chords.lua
-- The batch's node, as a place among its strings.
NODE = -1
MAX_CALLBACK_TASKS = 64
MAX_ERRBACKS = 64
-- A trace as records.py packs it: trace id, the parent's span id (zeros: none), when it began, flags.
TRACE_LENGTH = 33
NO_PARENT = '\0\0\0\0\0\0\0\0'
UUID_FORM = '^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$'

-- index.lua
-- What Redis needs besides the values, as measured: for a chord's key, and for its places in the two open indexes.
SETTLE_MS = 1000
-- What the sweep forgets leaves its segment too; what Redis drops before, does not.
SWEEP_LAG = 60000
CHORD_BYTES = 220
OPEN_BYTES = 300
TIME_LENGTH = 6

-- apply.lua
BATCH_VERSION = 1
MAX_UNSURE = 100
KEEP_SHARED = 30 * 86400
KEEP_SEQUENCE = 86400

-- segments.lua
LAYOUT = 1

-- tasks.lua
MAX_ATTEMPTS = 64
MAX_SIGHTINGS = 20

-- sweep.lua
SAMPLED_PAGES = 8
-- An exemplar's labels have at most 128 characters: with a trace id, 80 are left for the chord's.
MAX_EXEMPLAR_ID = 81
EVICTIONS = 50

-- judge.lua
-- A judgement that is older than the kept one by less than so many seconds comes late.
LATE = 60
MAX_DROPPED = 50
