-- status: what one running engine does, from two readings of its counters.
--
--   status.of(now, before) -> status       rates are per second between the readings
--   status.lines(status, width) -> list    for people; a line is { text, style }
--   status.summary(status) -> text         one line of the list of engines
--   status.HEADING                         what stands above those
--
-- A reading is { name, pid, clock = ns of CLOCK_MONOTONIC, words = { name = number },
-- order = names of the words in the order of their creation, latency = { count, p50, p90,
-- p99, max } in ns }. Everything that is shown comes from the engine's shared counters;
-- the engine itself is not asked.
local quantity = require "config.quantity"
local status = {}

local ASLEEP = 5e6 -- ns without a sign of life after which an engine is taken to sleep

-- The figures -------------------------------------------------------------------------

local function ratio(part, whole) return whole > 0 and part / whole or 0.0 end

-- A counter's growth; one that was made anew began at 0 again.
local function growth(now, before, name)
   local is, was = now.words[name] or 0, before.words[name] or 0
   return is >= was and is - was or is
end

-- Where the words of each core are.
local function prefixes_of(reading)
   local prefixes = { "engine/" }
   while reading.words[("cores/%d/now_ns"):format(#prefixes)] do
      prefixes[#prefixes + 1] = ("cores/%d/"):format(#prefixes)
   end
   return prefixes
end

-- A core notes the time when it goes to sleep, and how long it slept afterwards.
local function slept(reading, prefix)
   local silent = reading.clock - (reading.words[prefix .. "now_ns"] or reading.clock)
   return (reading.words[prefix .. "slept_ns"] or 0) + (silent > ASLEEP and silent or 0)
end

-- Of one core, or of several together: what they did is added up, their sleep is the mean.
local function load_of(now, before, seconds, prefixes)
   local sum, asleep = {}, 0
   for _, name in ipairs { "frees", "freebits", "freebytes", "breaths", "crossed" } do
      sum[name] = 0
      for _, prefix in ipairs(prefixes) do
         sum[name] = sum[name] + growth(now, before, prefix .. name)
      end
   end
   for _, prefix in ipairs(prefixes) do
      local share = ratio((slept(now, prefix) - slept(before, prefix)) / 1e9, seconds)
      asleep = asleep + math.min(1, math.max(0, share))
   end
   return {
      fps = ratio(sum.frees, seconds), gbps = ratio(sum.freebits, seconds) / 1e9,
      fpb = ratio(sum.frees, sum.breaths), bpp = ratio(sum.freebytes, sum.frees),
      sleep = asleep / #prefixes,
   }, ratio(sum.crossed, seconds)
end

-- nil where there is but one.
local function cores_of(now, before, seconds, prefixes)
   if #prefixes == 1 then return nil end
   local cores = {}
   for i, prefix in ipairs(prefixes) do
      local core, crossed = load_of(now, before, seconds, { prefix })
      core.core, core.crossed = i - 1, crossed
      cores[i] = core
   end
   return cores
end

-- As the core says that looked last.
local function packets_in_use(reading, prefixes)
   local last = prefixes[1]
   for _, prefix in ipairs(prefixes) do
      if reading.words[prefix .. "now_ns"] > reading.words[last .. "now_ns"] then last = prefix end
   end
   return reading.words[last .. "packets_in_use"]
end

local function links_of(now, before, seconds)
   local links = {}
   for _, word in ipairs(now.order) do
      local name = word:match("^links/(.*)/txpackets$")
      if name then
         local prefix = "links/" .. name .. "/"
         local function rate(what) return ratio(growth(now, before, prefix .. what), seconds) end
         links[#links + 1] = {
            name = name, pps = rate("txpackets"), bps = 8 * rate("txbytes"),
            drops_per_second = rate("txdrop"), drops = now.words[prefix .. "txdrop"],
         }
      end
   end
   return links
end

-- Shares of the time that apps took together, in the breaths that were measured.
local function apps_of(now, before)
   local apps, total = {}, 0
   for _, word in ipairs(now.order) do
      local name = word:match("^apps/(.*)/time_ns$")
      if name then
         local ns, calls = growth(now, before, word), "apps/" .. name .. "/time_calls"
         apps[#apps + 1] = { name = name, ns = ns,
                             ns_per_breath = ratio(ns, growth(now, before, calls)) }
         total = total + ns
      end
   end
   for _, app in ipairs(apps) do
      app.share, app.ns = ratio(app.ns, total), nil
   end
   return apps
end

local function drops_of(now, before, seconds)
   local drops = {}
   for _, word in ipairs(now.order) do
      local app, reason = word:match("^apps/(.*)/drop_([^/]*)$")
      if not app then app, reason = "engine", word:match("^engine/drop_(.*)$") end
      if reason and now.words[word] > 0 then
         drops[#drops + 1] = { app = app, reason = reason, drops = now.words[word],
                               per_second = ratio(growth(now, before, word), seconds) }
      end
   end
   return drops
end

function status.of(now, before)
   local seconds, prefixes = (now.clock - before.clock) / 1e9, prefixes_of(now)
   return {
      name = now.name, pid = now.pid, seconds = seconds,
      uptime = math.max(0, now.clock - now.words["engine/start_ns"]) / 1e9,
      packets_in_use = packets_in_use(now, prefixes),
      load = (load_of(now, before, seconds, prefixes)), breath_latency = now.latency,
      cores = cores_of(now, before, seconds, prefixes),
      links = links_of(now, before, seconds), apps = apps_of(now, before),
      drops = drops_of(now, before, seconds),
   }
end

-- As text -----------------------------------------------------------------------------

local function bits(number)
   for _, unit in ipairs { "", "k", "M", "G" } do
      if number < 1000 or unit == "G" then
         return ((unit == "" or number >= 100) and "%.0f%s" or "%.1f%s"):format(number, unit)
      end
      number = number / 1000
   end
end

local function short_time(ns)
   if ns < 1e3 then return ("%.0f ns"):format(ns) end
   if ns < 1e6 then return (ns < 1e4 and "%.1f us" or "%.0f us"):format(ns / 1e3) end
   if ns < 1e9 then return (ns < 1e7 and "%.1f ms" or "%.0f ms"):format(ns / 1e6) end
   return ("%.1f s"):format(ns / 1e9)
end

local function up(seconds)
   local s = math.floor(seconds)
   local days = s >= 86400 and ("%dd "):format(s // 86400) or ""
   return ("%s%d:%02d:%02d"):format(days, s // 3600 % 24, s // 60 % 60, s % 60)
end

local function cut(text, width)
   return #text <= width and text or text:sub(1, math.max(0, width - 3)) .. "..."
end

local SUMMARY = "%-20s %8s %12s %12s %8s %6s %6s %6s"
status.HEADING = SUMMARY:format("NAME", "PID", "UP", "FPS", "GBPS", "FPB", "BPP", "SLEEP")

function status.summary(s)
   local load = s.load
   return SUMMARY:format(cut(s.name, 20), s.pid, up(s.uptime), quantity.thousands(load.fps),
                         ("%.3f"):format(load.gbps), ("%.0f"):format(load.fpb),
                         ("%.0f"):format(load.bpp), ("%.0f%%"):format(100 * load.sleep))
end

local function latency_line(latency)
   if latency.count == 0 then return "breath latency: nothing measured yet" end
   return ("breath latency: p50 %s  p90 %s  p99 %s  max %s"):format(
      short_time(latency.p50), short_time(latency.p90), short_time(latency.p99),
      short_time(latency.max))
end

-- Adds a table: a heading and one line per item, the first column as wide as it may be.
local function add_table(lines, width, heading, items, row)
   if #items == 0 then return end
   lines[#lines + 1] = { "" }
   local function line(first, rest)
      local room = math.max(10, width - #rest - 1)
      return ("%-" .. math.min(room, 99) .. "s %s"):format(cut(first, room), rest)
   end
   lines[#lines + 1] = { line(table.unpack(heading)), "bold" }
   for _, item in ipairs(items) do lines[#lines + 1] = { line(row(item)) } end
end

function status.lines(s, width)
   local load, lines = s.load, {}
   width = math.min(width, 99)
   lines[1] = { ("%s  pid %d  up %s  packets in use %s"):format(
      s.name, s.pid, up(s.uptime), quantity.thousands(s.packets_in_use)), "bold" }
   lines[2] = { ("load: fps: %s  Gbps: %.3f  fpb: %.0f  bpp: %.0f  sleep: %.0f%%"):format(
      quantity.thousands(load.fps), load.gbps, load.fpb, load.bpp, 100 * load.sleep) }
   lines[3] = { latency_line(s.breath_latency) }
   local LINK, APP, DROP = "%12s %8s %10s %12s", "%8s %12s", "%12s %14s"
   local CORE = "%12s %8s %8s %14s"
   add_table(lines, width, { "CORE", CORE:format("FPS", "FPB", "SLEEP", "TO OTHERS/S") },
             s.cores or {}, function (core)
      return tostring(core.core), CORE:format(quantity.thousands(core.fps), ("%.0f"):format(core.fpb),
                                              ("%.0f%%"):format(100 * core.sleep),
                                              quantity.thousands(core.crossed))
   end)
   add_table(lines, width, { "LINK", LINK:format("PACKETS/S", "BIT/S", "DROPS/S", "DROPS") },
             s.links, function (link)
      return link.name, LINK:format(quantity.thousands(link.pps), bits(link.bps),
                                    quantity.thousands(link.drops_per_second), quantity.thousands(link.drops))
   end)
   add_table(lines, width, { "APP", APP:format("TIME", "PER BREATH") }, s.apps, function (app)
      return app.name, APP:format(("%.0f%%"):format(100 * app.share),
                                  short_time(app.ns_per_breath))
   end)
   add_table(lines, width, { "DROPPED", DROP:format("PER SECOND", "TOTAL") }, s.drops,
             function (drop)
      return drop.app .. ": " .. drop.reason, DROP:format(quantity.thousands(drop.per_second),
                                                         quantity.thousands(drop.drops))
   end)
   return lines
end

return status
