-- The levels of config/sentinel_health.lua at their bounds: vanguard run sentinel_health.lua IFACE, a veth on
-- which nothing comes.
local health = require "config.sentinel_health"

local name = assert(arg[1])
local PARAMETERS = { max_blocks = "1000", snapshot_period = "10s" }
local time = 100

-- What a sentinel says that is well, but for some of it.
local function status_of (but)
   local status = { mode = "native", time = time, received = { packets = 0 }, blocks = 0, block_insert_failed = 0, block_insert_braked = 0,
                    events_lost = 0, events_limited = 0, samples_lost = 0, events_backlog = 0, samples_backlog = 0,
                    tick_overruns = 0, tick_stalls = 0 }
   for key, value in pairs(but) do status[key] = value end
   return status
end

local function look (h, but)
   h:before()
   local rows = {}
   for _, row in ipairs(h:check(status_of(but), function (parameter) return PARAMETERS[parameter] end)) do rows[row.name] = row end
   return rows
end

local function expect (row, but, level, h)
   local got = look(h or health.new(name), but)[row]
   if got.level ~= level then error(("%s is %s (%s), wanted %s"):format(row, got.level, got.value, level), 2) end
   if (level == "ok") ~= (got.cure == nil) then error(row .. ": a cure for what is well, or none for what is not", 2) end
end

-- H1
expect("ring_backlog", {}, "ok")
expect("ring_backlog", { samples_backlog = 0.049 }, "ok")
expect("ring_backlog", { samples_backlog = 0.051 }, "warn")
expect("ring_backlog", { events_backlog = 0.5 }, "warn")
expect("ring_backlog", { events_backlog = 0.501 }, "critical")

-- H3: nothing came. What a driver holds is let pass once, not again and again; 1 in 100,000 also.
local function count (h, seconds, judged)
   time = time + seconds
   return { time = time, received = { packets = judged } }
end
for _, case in ipairs { { 0, "ok" }, { 256, "ok" }, { 257, "critical" } } do
   local h = health.new(name)
   expect("accounting", count(h, 1, 1000), "ok", h)
   expect("accounting", count(h, 10, 1000 + case[1]), case[2], h)
   expect("accounting", count(h, 1, 1000 + case[1]), case[2], h) -- it is told of until ten seconds are well
   expect("accounting", count(h, 9, 1000 + case[1]), "ok", h)
end
local h = health.new(name)
expect("accounting", { received = { packets = 1000 } }, "ok", h)
expect("accounting", { mode = "generic", received = { packets = 5000 } }, "ok", h) -- super-frames
expect("accounting", { received = { packets = 0 } }, "critical", h)

-- H5: a veth has no line rate
expect("program_time", { program_ns = 1e6 }, "ok")
local query = interface.query
for _, case in ipairs { { 134, 2, "ok" }, { 403, 1, "ok" }, { 404, 1, "warn" }, { 672, 1, "warn" }, { 673, 1, "critical" }, { 673, 2, "ok" } } do
   interface.query = function () return { up = true, carrier = true, speed = 1000, bus = "0000:01:00.0", queues = { rx = case[2] }, offloads = {} } end
   expect("program_time", { program_ns = case[1] }, case[3])
end
interface.query = query

-- H7: what was, is a minute long
expect("tick_overruns", {}, "ok")
expect("tick_overruns", { tick_overruns = 1 }, "warn")
expect("tick_overruns", { tick_overruns = 3, tick_stalls = 1 }, "critical")
h = health.new(name)
expect("tick_overruns", { tick_overruns = 3, tick_stalls = 1 }, "critical", h)
expect("tick_overruns", { tick_overruns = 3, tick_stalls = 1 }, "critical", h)
local engine_now = engine.now
engine.now = function () return engine_now() + 61 end
expect("tick_overruns", { tick_overruns = 3, tick_stalls = 1 }, "ok", h)
expect("tick_overruns", { tick_overruns = 4, tick_stalls = 1 }, "warn", h)
engine.now = engine_now

-- H10
expect("snapshot", { snapshot = { age = 29 } }, "ok")
expect("snapshot", { snapshot = { age = 31 } }, "critical")
expect("snapshot", { snapshot = { age = 1, refused = "why" } }, "warn")
expect("snapshot", { snapshot = { age = 1, problem = "why" } }, "critical")

print("well")
os.exit(0)
